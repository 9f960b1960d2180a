# caracal:data-document
# Names for applications: a key of yours for each application id. Grants use the keys.
package caracal.authz

import rego.v1

app_ids := {
	"assistant": "replace-with-an-application-id",
	"billing": "replace-with-another-application-id",
}
