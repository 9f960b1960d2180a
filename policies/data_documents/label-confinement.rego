# caracal:data-document
# An agent with a label of this prefix is given no other scopes, whatever its roles say.
package caracal.authz

import rego.v1

confinement := [{"label_prefix": "customer:", "scopes": ["calendar:read"]}]
