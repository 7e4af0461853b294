//! Which behaviours there are, and on what kind of host each runs.

/// Hands every group of behaviours to `mount_http_group!`.
#[macro_export]
macro_rules! http_behaviours {
    ($launch:expr) => {
        $crate::mount_http_group!($launch, shared open OPEN:
            access::operator_calls_need_an_operators_token
            access::a_repeated_authorization_is_refused_even_where_none_is_needed
            access::guests_are_known_by_the_token_of_that_very_session
            access::an_operator_cannot_renew
            cors::any_origin_is_allowed_until_some_are_named
            cors::a_repeated_origin_is_refused
            cors::options_alone_is_not_allowed
            headers::every_answer_carries_the_common_headers
            headers::a_callers_request_id_is_echoed_if_it_is_one
            headers::head_is_get_without_its_body
            headers::a_header_without_a_value_counts_for_nothing
            names::a_fingerprint_has_8_to_256_plain_characters
            names::a_guest_id_has_1_to_128_plain_characters
            names::what_is_no_route_is_not_found
            names::another_method_is_not_allowed
            names::calls_without_a_query_refuse_one
            idempotency::a_repeat_returns_the_first_answer
            idempotency::another_layout_of_the_body_is_the_same_request
            idempotency::two_devices_may_use_one_key
            idempotency::a_key_is_visible_ascii_sent_once
            limits::a_full_device_evicts_its_oldest_session
            figures::stats_have_every_counter_and_gauge
            figures::metrics_are_prometheus_text_of_the_same
            revocations::invalid_query
            calls::a_site_is_given_a_session
            calls::an_operator_lists_sessions_oldest_first_and_without_tokens
            calls::a_guest_renews_its_session
            calls::a_guest_ends_its_session
            calls::an_operator_ends_any_session
            calls::an_operator_ends_all_sessions
            calls::an_operator_sweeps
            calls::anyone_learns_that_the_process_runs
            calls::anyone_learns_that_the_store_answers
            calls::anyone_reads_the_description_of_every_call
            bodies::a_body_may_be_empty
            bodies::routing_reaches_genesys_byte_for_byte
            bodies::what_is_not_the_body_of_an_issue_is_refused
            bodies::deep_nesting_is_taken_up_to_a_bound
            bodies::a_body_of_16_kib_is_the_longest
            bodies::a_body_must_be_json_by_its_type
            bodies::calls_without_a_body_refuse_fields
            edges::dot_segments_are_no_route
            edges::head_answers_like_get
            edges::strangers_learn_nothing_from_their_mistakes
            races::the_cap_holds_under_simultaneous_issues
            races::an_evicted_session_is_gone_for_its_guest
            rows::invalid_fingerprint
            rows::invalid_guest_id
            rows::invalid_body
            rows::invalid_idempotency_key
            rows::unauthorized
            rows::route_not_found
            rows::session_not_found
            rows::revocation_not_found
            rows::method_not_allowed
            rows::body_too_large
            rows::unsupported_media_type
            rows::idempotency_mismatch
        );
        $crate::mount_http_group!($launch, shared guarded GUARDED:
            access::any_operator_of_a_list_may_call
            access::sites_need_one_of_their_keys
            cors::only_named_origins_are_allowed
            edges::pages_see_their_errors
            edges::operators_may_call_from_any_page
            rows::origin_not_allowed
        );
        $crate::mount_http_group!($launch, shared unattended UNATTENDED:
            access::operator_calls_are_disabled_without_an_operator
            rows::operator_disabled
        );
        $crate::mount_http_group!($launch, alone fragile FRAGILE:
            idempotency::a_repeat_of_a_running_request_is_told_to_wait
            idempotency::a_failure_frees_the_key
            races::simultaneous_repeats_make_one_guest
            races::every_failure_frees_its_key
            limits::device_busy
            revocations::a_stuck_revocation_is_listed
            revocations::a_stuck_revocation_is_retried_on_request
            revocations::a_stuck_revocation_is_given_up_on_request
            errors::genesys_unauthorized
            errors::a_revoked_access_token_is_renewed_once
            errors::genesys_forbidden
            errors::genesys_rejected
            errors::genesys_failed
            errors::genesys_timeout
            errors::no_answer_of_genesys_is_trusted
        );
        $crate::mount_http_group!($launch, own own:
            limits::rate_limited_by_device
            limits::rate_limited_by_address
            sessions::an_inactive_device_expires_and_is_revoked
            sessions::a_renewed_device_lives_on
            sessions::a_session_never_passes_its_maximum_age
            revocations::pending_revocations_are_listed_soonest_first
            errors::genesys_rate_limited
            errors::no_redirect_of_genesys_is_followed
            races::a_long_rest_is_told_at_once_and_kept
            races::counters_follow_what_happens
        );
    };
}

/// The macro's own text, to see that no behaviour was forgotten.
#[cfg(test)]
mod tests {
    #[test]
    fn every_behaviour_is_mounted() {
        let files = [
            ("access", include_str!("access.rs")),
            ("bodies", include_str!("bodies.rs")),
            ("calls", include_str!("calls.rs")),
            ("cors", include_str!("cors.rs")),
            ("edges", include_str!("edges.rs")),
            ("errors", include_str!("errors.rs")),
            ("figures", include_str!("figures.rs")),
            ("headers", include_str!("headers.rs")),
            ("idempotency", include_str!("idempotency.rs")),
            ("limits", include_str!("limits.rs")),
            ("names", include_str!("names.rs")),
            ("races", include_str!("races.rs")),
            ("revocations", include_str!("revocations.rs")),
            ("rows", include_str!("rows.rs")),
            ("sessions", include_str!("sessions.rs")),
        ];
        for (file, text) in files {
            for line in text.lines().filter_map(|line| line.strip_prefix("pub async fn ")) {
                let name = line.split('(').next().unwrap_or_default();
                let entry = format!(" {file}::{name}\n");
                assert!(
                    include_str!("mounted.rs").contains(&entry),
                    "{file}::{name} is not mounted"
                );
            }
        }
    }
}
