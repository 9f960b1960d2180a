-- Whether the secret behind the proof is the application's, or the one before it in its
-- overlap; a gateway's request has none.
(
    %(proof)s::bytea IS NULL
    OR secret_digest = %(proof)s::bytea
    OR (
        previous_secret_digest = %(proof)s::bytea
        AND previous_secret_expires_at > now()
    )
)
