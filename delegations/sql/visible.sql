(
    %(sees_all)s
    OR a.issuer_application_id = %(caller_client)s
    OR a.receiver_application_id = %(caller_client)s
)
