# caracal:data-document
# Any entry here stops every decision of the zone: the switch for an emergency.
package caracal.authz

import rego.v1

restrict := {}
