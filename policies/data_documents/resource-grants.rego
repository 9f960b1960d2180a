# caracal:data-document
# Which application owns a resource, and which scopes an agent carrying a role's label
# may be given on it. The key is the resource's identifier.
package caracal.authz

import rego.v1

grants := {"resource://calendar": {
	"application": "assistant",
	"roles": {"scheduler": ["calendar:read", "calendar:write"]},
}}
