#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| guestpass_fuzz_cases::fingerprints(data));
