"""Where each weakness of the implementation before (audit-and-events.md 14) is
shown to be none, besides in ``test_weaknesses``."""

from __future__ import annotations

# ``app.module.test``, each module in the app's ``tests``.
SHOWN = {
    1: ("zones.test_access.test_without_a_good_token_nothing_is_told",),
    2: ("zones.test_access.test_request_ids_are_well_formed_or_replaced",),
    3: ("zones.test_attempts.test_failures_leave_one_row_a_minute_and_none_in_a_zone",),
    4: (
        "caracal_site.test_cursors.test_a_cursor_comes_back_to_the_microsecond",
        "tokens.test_sessions_api.test_sessions_are_listed_newest_first_page_by_page",
    ),
    5: (
        "audit.test_files.test_a_file_of_many_spans_has_every_row_once",
        "caracal_site.test_listings.test_a_file_that_breaks_off_says_so",
    ),
    6: (
        "audit.test_files"
        ".test_what_a_spreadsheet_would_compute_opens_inert_and_is_told_whole",
        "caracal_site.test_listings.test_no_cell_of_a_file_is_taken_for_a_formula",
    ),
    7: ("audit.test_api.test_a_faulty_question_is_refused",),
    8: (),
    9: (
        "audit.test_explaining"
        ".test_a_token_for_what_was_not_denied_makes_the_outcome_partial",
        "audit.test_explaining"
        ".test_a_denial_has_what_the_policies_were_asked_as_it_was_recorded",
    ),
    10: (
        "tokens.test_challenges_api.test_who_holds_the_secret_of_the_application_cannot_approve",
        "tokens.test_step_up.test_an_approval_outlasts_a_refusal",
    ),
    11: (
        "audit.test_retention.test_a_shorter_time_waits_before_it_counts",
        "audit.test_retention.test_a_zone_token_holds_but_neither_lifts_nor_shortens",
        "audit.test_retiring.test_nothing_goes_under_a_hold",
    ),
    12: (
        "audit.test_ledger.test_the_verifier_finds_and_places",
        "audit.test_ledger.test_a_cut_end_is_found_by_what_was_published",
        "audit.test_faults.test_an_end_that_is_gone_is_found_by_the_published_head",
        "audit.test_ledger_api.test_a_verification_is_kept_and_in_the_audit_trail",
    ),
    13: (
        "audit.test_ledger"
        ".test_a_ledger_hashed_again_with_the_key_is_not_what_was_published",
        "audit.test_faults"
        ".test_a_ledger_sealed_again_with_the_key_is_found_between_two_heads",
    ),
    14: (
        "caracal_site.test_roles"
        ".test_evidence_can_be_added_and_sealed_and_nothing_else",
        "audit.test_retiring.test_the_database_itself_refuses_what_is_held_or_young",
    ),
    15: (
        "audit.test_keys.test_a_ledger_verifies_whose_keys_were_replaced_twice",
        "audit.test_keys.test_who_has_the_replaced_key_adds_to_no_chain_that_went_on",
        "audit.test_ledger_export.test_a_file_as_it_was_written_is_intact",
    ),
    16: ("audit.test_ingesting.test_another_text_under_a_known_id_is_seen",),
    17: (
        "audit.test_ingesting.test_what_was_sent_before_the_first_start_counts",
        "audit.test_ingesting.test_what_a_run_read_before_it_died_is_taken_by_the_next",
        "audit.test_ingesting.test_nothing_is_trimmed_that_another_group_has_not_read",
        "audit.test_quarantine.test_a_decision_is_taken_in_once_its_producer_is_known",
    ),
    18: ("audit.test_ledger_export.test_a_file_that_was_changed_is_found_out",),
    19: (
        "caracal_site.test_evidence.test_without_evidence_there_is_no_change",
        "audit.test_sealing.test_the_verifier_finds",
        "audit.test_chain.test_text_cannot_move_from_one_column_to_the_next",
        "audit.test_api.test_a_file_of_changes_has_the_fields_asked_for",
        "audit.test_api.test_what_belongs_to_no_zone_can_be_read",
    ),
    20: (
        "audit.test_publisher.test_news_goes_out_in_order_densely_numbered_and_signed",
        "audit.test_publisher.test_a_poison_row_is_parked_alone_and_leaves_no_gap",
        "audit.test_publisher.test_only_old_published_rows_are_pruned",
        "audit.test_streams"
        ".test_a_payload_cannot_take_the_place_of_the_publishers_own_fields",
        "audit.test_outages.test_a_gap_that_trimming_leaves_is_seen_and_refilled",
    ),
    21: (
        "agents.test_suspension.test_every_turn_is_told_under_a_key_of_its_own",
        "audit.test_publisher"
        ".test_an_outage_counts_against_no_row_and_recovery_is_immediate",
        "audit.test_outages.test_what_is_written_while_redis_is_away_goes_out_in_order",
    ),
    22: ("agents.test_suspension.test_a_subtree_rests_and_goes_on_together",),
    23: (
        "audit.test_streams.test_two_events_sign_alike_only_when_they_are_alike",
        "audit.test_ingesting.test_a_key_that_is_being_replaced_still_counts",
        "audit.test_ingesting.test_what_nobody_signed_is_seen_in_the_quarantine",
        "audit.test_outages.test_a_gap_that_a_flush_leaves_is_seen_and_refilled",
    ),
    24: (
        "tokens.test_sessions_api"
        ".test_a_session_past_its_time_has_expired_whatever_is_written_down",
        "tokens.test_sessions"
        ".test_sessions_past_their_time_expire_however_many_there_are",
    ),
    25: ("audit.test_files.test_every_filter_has_its_index",),
    26: ("zones.test_attempts.test_known_callers_are_limited_each_for_itself",),
    27: ("audit.test_api.test_changes_are_listed_with_their_place_in_the_chain",),
    28: (
        "caracal_site.test_listings.test_an_export_that_cannot_be_recorded_does_not_happen",
        "audit.test_retention.test_a_change_is_in_the_audit_trail_with_its_reason",
    ),
    29: ("audit.test_api.test_a_cursor_of_another_question_is_refused",),
}
