//! The HTTP behaviours at the origin, over its embedded store and over a real Redis.

guestpass_tests::mount_http_suite!(embedded, guestpass_tests::origin::OnEmbedded);
guestpass_tests::mount_http_suite!(redis, guestpass_tests::origin::OnRedis);
