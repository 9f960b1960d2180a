"use strict";

{
  const place = document.getElementById("redoc");
  const fontFamily = "system-ui, sans-serif";
  Redoc.init(
    place.dataset.schema,
    {
      hideDownloadButton: false,
      nativeScrollbars: true,
      theme: { typography: { fontFamily, headings: { fontFamily } } },
    },
    place,
  );
}
