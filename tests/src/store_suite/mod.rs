//! What every store promises, as functions over any store. `store_suite!` mounts them all over one.
//! Each behaviour gets a fresh store.
#![expect(missing_docs, reason = "each behaviour's name is the promise that it proves")]

pub mod expiry;
pub mod flights;
pub mod idempotency;
pub mod outbox;
pub mod owners;
pub mod rates;
pub mod rotation;
pub mod sessions;
pub mod settling;
pub mod totals;

/// Mounts every behaviour over the store that an `async fn` without arguments makes.
#[macro_export]
macro_rules! store_suite {
    ($factory:ident) => {
        $crate::mount_behaviours! { $factory;
            sessions {
                the_cap_holds
                the_cap_holds_under_concurrency
                the_oldest_session_goes_first
                a_lowered_cap_evicts_several_at_the_next_commit
                a_raised_cap_makes_room
                every_eviction_files_its_revocation
                devices_do_not_disturb_each_other
                scores_rise_when_clocks_go_backwards
                scores_rise_within_a_millisecond
            }
            expiry {
                a_commit_slides_the_devices_expiry
                a_renew_slides_the_devices_expiry
                an_expired_session_counts_for_nothing_unswept
                what_expires_is_filed_without_traffic
                a_commit_files_what_it_finds_expired
                a_session_expires_at_its_maximum_age
                a_maximum_age_does_not_outlive_the_sliding_expiry
                the_maximum_age_may_be_turned_on_and_off
                expiring_again_changes_nothing
                a_device_that_was_renewed_is_not_due
                due_lists_the_longest_overdue_first_up_to_its_limit
            }
            flights {
                at_most_cap_creates_are_in_flight
                a_busy_device_does_not_hold_up_others
                a_commit_frees_its_place
                an_abort_frees_its_place
                admitting_again_takes_no_second_place
                a_place_that_runs_out_is_free_and_counts_one_orphan_once
                a_flight_readmitted_after_its_place_ran_out_counts_one_orphan
                an_orphan_is_counted_by_abort_or_by_due_but_once
                a_refused_create_is_no_orphan
                a_late_commit_still_commits
                committing_again_changes_nothing
                committing_again_after_admitting_again_changes_nothing
                a_guest_that_was_filed_is_not_committed_again
                a_failed_commit_is_filed_and_its_session_removed
                a_withdrawn_guest_loses_its_session_and_counts_as_revoked
                aborting_again_changes_nothing
            }
            idempotency {
                the_first_request_holds_its_key_while_it_runs
                a_repeat_replays_the_first_answer
                another_body_is_a_mismatch
                an_abort_frees_the_key
                an_abort_frees_no_others_key
                a_key_is_bound_for_ten_minutes
                a_key_is_free_again_when_its_flight_runs_out
                a_key_belongs_to_its_device
                a_late_commit_does_not_steal_a_key
                a_sealed_token_is_replayed_as_it_was_stored
                an_unreadable_answer_may_be_overwritten
                admitting_the_same_flight_again_is_no_replay
            }
            rates {
                a_device_has_so_many_issues_a_minute
                an_address_has_so_many_issues_a_minute
                a_window_ends_with_its_minute
                replays_do_not_count
                admitting_again_does_not_count
                a_clock_that_is_behind_counts_in_the_window_it_finds
                a_refused_issue_does_not_count
            }
            owners {
                only_the_right_token_renews
                only_the_right_token_ends
                a_sealed_token_is_checked_by_its_hash
                an_unknown_session_is_neither_renewed_nor_ended
                an_operator_ends_one_session
                an_operator_ends_all_sessions
                ending_again_changes_nothing
                ending_tells_the_expired_from_the_ended
                a_list_is_oldest_first_with_expiries
            }
            outbox {
                a_claim_leases_what_is_due
                a_second_claimer_gets_nothing_until_the_lease_ends
                a_claim_takes_no_more_than_its_limit
                the_same_claim_repeated_gets_the_same_jobs
                concurrent_claims_share_no_job
                revocations_come_soonest_attempt_first
                a_list_of_revocations_keeps_its_limit
                every_claim_is_served_in_the_end
                retry_makes_a_pending_one_due_now
                retry_revives_a_stuck_one
                retry_takes_a_claimed_one_from_its_claimer
                retry_and_abandon_know_no_unknown_guest
                abandon_forgets_pending_and_stuck_ones
            }
            rotation {
                sessions_under_an_older_name_belong_to_the_device
                the_cap_holds_over_both_names
                the_cap_holds_while_hosts_disagree_about_the_first_key
                a_commit_meets_what_came_under_the_other_name_since_it_was_admitted
                creates_in_flight_under_an_older_name_count_and_commit
                an_older_names_flight_is_aborted_and_frees_its_key
                a_replay_finds_an_older_names_record
                a_rate_counts_over_both_names
                what_expired_under_an_older_name_stays_expired
                an_older_name_keeps_its_expiry
                two_devices_become_one_with_all_revocations_filed
                several_older_names_are_gathered
                a_host_without_the_new_key_keeps_to_its_own_cap_and_the_next_commit_heals_it
                what_is_gathered_leaves_nothing_under_the_older_name
            }
            settling {
                a_confirmed_revocation_is_forgotten
                a_failed_revocation_is_tried_again_when_it_says
                a_stuck_revocation_is_kept
                a_released_revocation_keeps_its_attempts
                a_late_settle_changes_nothing
                settling_again_changes_nothing
                settling_under_anothers_claim_changes_nothing
                a_mixed_batch_is_settled_each_by_its_fate
            }
            totals {
                the_longest_cool_down_wins
                a_cool_down_holds_admit_and_claim
                a_replay_is_answered_in_a_cool_down
                an_admitted_flight_is_not_cooled
                counters_count_each_thing_once
                gauges_show_what_there_is
                a_new_store_has_nothing
            }
        }
    };
}

/// The tests of [`store_suite!`].
#[macro_export]
macro_rules! mount_behaviours {
    ($factory:ident; $($theme:ident { $($name:ident)* })*) => {
        $(mod $theme {
            $(
                #[cfg_attr(not(target_arch = "wasm32"), tokio::test)]
                #[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
                async fn $name() {
                    let store = super::$factory().await;
                    $crate::store_suite::$theme::$name(&store).await;
                }
            )*
        })*

        #[cfg_attr(not(target_arch = "wasm32"), test)]
        #[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
        fn every_behaviour_is_mounted() {
            let behaviours = $crate::store_suite::SOURCES.concat().matches("pub async fn").count();
            assert_eq!(behaviours, [$($(stringify!($name)),*),*].len());
        }
    };
}

/// The sources of the behaviours, so that none is forgotten.
pub const SOURCES: [&str; 10] = [
    include_str!("expiry.rs"),
    include_str!("flights.rs"),
    include_str!("idempotency.rs"),
    include_str!("outbox.rs"),
    include_str!("owners.rs"),
    include_str!("rates.rs"),
    include_str!("rotation.rs"),
    include_str!("sessions.rs"),
    include_str!("settling.rs"),
    include_str!("totals.rs"),
];
