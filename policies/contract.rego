# The decision contract: the only rules that allow anything, owned by the platform.
#
# Tenants supply data, never rules. `input.request` is the input document of a decision;
# `input.documents` is what of the tenant's merged data documents can bear on it, or null
# when the zone has no active policy set: `risk` by scope, the others in their own form.
#
# Every condition is stated once, positively, under a name in `holds`; a kind of rule
# allows when all conditions it needs hold. So what cannot be evaluated does not hold,
# and the explanation of a denial is what is missing, by the same names.
#
# Decisions run compiled, explanations and unusually large questions interpreted
# (engine.py). So that both give the same, nothing here rests on a rule failing over two
# values, nor puts what may be undefined into an object: faults are told, tests come first.
package caracal.contract

import rego.v1

request := input.request

default documents := {}

documents := input.documents if is_object(input.documents)

default requested := []

requested := request.context.requested_scopes if {
	is_array(request.context.requested_scopes)
}

default labels := []

labels := request.principal.labels if is_array(request.principal.labels)

# The keys of the calling application: two for one are a fault, not a choice.
keys := [key |
	some key, id in documents.app_ids
	id == request.principal.id
]

application := keys[0] if count(keys) > 0

view := documents.grants[request.resource.identifier]

confinement := object.get(documents, "confinement", [])

common_needs := {
	"application_known",
	"resource_granted",
	"application_owns_resource",
	"zone_unrestricted",
}

needs := {
	"bootstrap": common_needs | {
		"lifecycle_scope_alone",
		"no_subject",
		"no_edge",
		"no_agent_session",
	},
	"mint": common_needs | {
		"edge",
		"agent_session",
		"no_subject",
		"scopes_requested",
		"no_lifecycle_scope",
		"scopes_within_edge",
		"scopes_within_confinement",
		"one_role_covers_scopes",
	},
	"use": common_needs | {
		"subject_names_edge",
		"subject_targets_resource",
		"no_scopes_requested",
		"label_is_a_role",
	},
}

holds contains "application_known" if application

holds contains "resource_granted" if view

holds contains "application_owns_resource" if view.application == application

holds contains "zone_unrestricted" if count(object.get(documents, "restrict", [])) == 0

holds contains "lifecycle_scope_alone" if {
	{scope | some scope in requested} == {input.lifecycle_scope}
}

holds contains "no_lifecycle_scope" if {
	every scope in requested {
		scope != input.lifecycle_scope
	}
}

holds contains "scopes_requested" if count(requested) > 0

holds contains "no_scopes_requested" if count(requested) == 0

holds contains "no_subject" if {
	present := object.keys(request.context)
	not "subject_claims" in present
}

holds contains "no_agent_session" if {
	present := object.keys(request.context)
	not "agent_session_id" in present
}

holds contains "no_edge" if {
	present := object.keys(request)
	not "delegation_edge" in present
}

holds contains "edge" if is_string(request.delegation_edge.id)

holds contains "agent_session" if is_string(request.context.agent_session_id)

holds contains "scopes_within_edge" if {
	every scope in requested {
		scope in request.delegation_edge.scopes
	}
}

holds contains "scopes_within_confinement" if {
	every rule in confinement {
		admits(rule)
	}
}

holds contains "one_role_covers_scopes" if {
	some label in labels
	role := view.roles[label]
	every scope in requested {
		scope in role
	}
}

holds contains "label_is_a_role" if {
	some label in labels
	label in object.keys(view.roles)
}

holds contains "subject_names_edge" if {
	is_string(request.context.subject_claims.delegation_edge_id)
	request.context.subject_claims.delegation_edge_id != ""
}

holds contains "subject_targets_resource" if {
	is_array(request.context.subject_claims.target)
	request.resource.identifier in request.context.subject_claims.target
}

# A rule of confinement admits a request that it does not concern, or covers.
admits(rule) if {
	"label_prefix" in object.keys(rule)
	not concerns(rule)
}

admits(rule) if {
	concerns(rule)
	every scope in requested {
		scope in rule.scopes
	}
}

concerns(rule) if {
	is_string(rule.label_prefix)
	some label in labels
	startswith(label, rule.label_prefix)
}

risks := [{"scope": scope, "tier": tier} |
	some scope in sort(requested)
	some rule in documents.risk[scope]
	is_string(rule.tier)
	tier := rule.tier
]

step_up := [{"step_up_required": "human_approval"} |
	some _ in [1]
	count([risk | some risk in risks; risk.tier in documents.approval_tiers]) > 0
]

risk_report := [{"risk": risks} | some _ in [1]; count(risks) > 0]

unmet[kind] := missing if {
	some kind, conditions in needs
	missing := conditions - holds
}

allowed contains kind if {
	some kind, missing in unmet
	count(missing) == 0
}

policy_set_is_active if is_object(input.documents)

# What could be decided in two ways. Validation refuses it.
faults contains "two keys for one application" if count(keys) > 1

faults contains "two tiers for one scope" if {
	"mint" in allowed
	some rules in documents.risk
	some rule in rules
	rule.tier != rules[0].tier
}

default result := {
	"decision": "deny",
	"evaluation_status": "complete",
	"determining_policies": [],
	"diagnostics": [{"reason": "no_rule_matched"}],
}

result := {"decision": "deny", "evaluation_status": "error", "faults": faults} if {
	count(faults) > 0
} else := {
	"decision": "deny",
	"evaluation_status": "complete",
	"determining_policies": [],
	"diagnostics": [{"reason": "no_active_policy_set"}],
} if {
	not policy_set_is_active
} else := allow("caracal-bootstrap", []) if {
	"bootstrap" in allowed
} else := allow(concat("", ["caracal-", application, "-mint"]), array.concat(step_up, risk_report)) if {
	"mint" in allowed
} else := allow(concat("", ["caracal-", application, "-use"]), []) if {
	"use" in allowed
}

allow(policy, diagnostics) := {
	"decision": "allow",
	"evaluation_status": "complete",
	"determining_policies": [{"policy": policy}],
	"diagnostics": diagnostics,
}

# Why nothing more was allowed: for each kind of rule what is missing, and which data
# stood in the way.
explanation := {
	"unmet": unmet,
	"scopes_outside_edge": [scope |
		some scope in requested
		not scope in object.get(request, ["delegation_edge", "scopes"], [])
	],
	"confining_rules": [rule | some rule in confinement; not admits(rule)],
	"restrictions": object.get(documents, "restrict", []),
} if {
	policy_set_is_active
}
