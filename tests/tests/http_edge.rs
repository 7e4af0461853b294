//! The HTTP behaviours at the edge: the Worker in workerd, over a real Redis through an origin's REST door.

guestpass_tests::mount_http_suite!(edge, guestpass_tests::edge::OnDoor);
