#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| guestpass_fuzz_cases::retry_after(data));
