//! The door without a Redis: who gets in, and what is answered when there is none.

use http::Method;
use http::header::AUTHORIZATION;

use super::*;

/// A door to a port where nothing listens.
fn door(commands: RestCommands) -> RestDoor {
    let target = RedisTarget::Single(Secret::new("redis://127.0.0.1:1"));
    let config = guestpass_core::config::RestDoor { token: Secret::new("s3cret"), commands };
    RestDoor::new(&target, &config).unwrap()
}

fn request(path: &str, token: Option<&str>, body: &str) -> Request<Bytes> {
    let mut request = Request::builder().method(Method::POST).uri(path);
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

async fn answer(door: &RestDoor, request: Request<Bytes>) -> (u16, String) {
    let response = door.answer(request).await;
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    (response.status().as_u16(), body)
}

#[test]
fn the_door_is_at_one_path_and_below() {
    assert!(RestDoor::is_at("/redis") && RestDoor::is_at("/redis/") && RestDoor::is_at("/redis/a"));
    assert!(!RestDoor::is_at("/redisx") && !RestDoor::is_at("/") && !RestDoor::is_at("/v1/redis"));
}

#[tokio::test]
async fn only_the_bearer_of_the_token_gets_in() {
    let door = door(RestCommands::Scripts);
    for (path, token) in [
        ("/redis", None),
        ("/redis", Some("wrong")),
        ("/redis", Some("s3cre")),
        ("/redis", Some("s3crets")),
        ("/redis/pipeline", Some("S3CRET")),
        ("/redis/multi-exec", None),
        ("/redis/get/k", None),
        ("/redis?_token=s3cret", None),
        ("/redis?_token=s3cret", Some("s3cret")),
    ] {
        let (status, body) = answer(&door, request(path, token, r#"["GET","k"]"#)).await;
        assert_eq!(status, 401, "{path} {token:?}");
        assert!(body.starts_with(r#"{"error":"WRONGPASS "#), "{body}");
    }
}

#[tokio::test]
async fn nothing_is_read_from_those_who_are_not_let_in() {
    let door = door(RestCommands::All);
    let room = |token| door.room(&request("/redis", token, "").into_parts().0);
    assert_eq!([room(None), room(Some("wrong")), room(Some("s3cret"))], [0, 0, (1 << 20) + 1]);
}

#[tokio::test]
async fn what_is_not_open_is_refused_before_redis_is_asked() {
    let door = door(RestCommands::Scripts);
    let ask = |path, body| answer(&door, request(path, Some("s3cret"), body));
    let (status, body) = ask("/redis", r#"["GET","k"]"#).await;
    assert_eq!((status, body.starts_with(r#"{"error":"NOPERM "#)), (400, true), "{body}");
    let (status, body) = ask("/redis/get/k", "").await;
    assert_eq!((status, body.starts_with(r#"{"error":"NOPERM "#)), (400, true), "{body}");
    let (status, body) = ask("/redis", r#"["EVALSHA","abc","0"]"#).await;
    assert_eq!((status, body.starts_with(r#"{"error":"NOSCRIPT "#)), (400, true), "{body}");
    let (status, body) = ask("/redis/pipeline", r#"[["GET","k"],["EVALSHA","abc",0]]"#).await;
    assert_eq!((status, body.starts_with(r#"[{"error":"NOPERM "#)), (200, true), "{body}");
    assert!(body.contains(r#"{"error":"NOSCRIPT "#), "{body}");
    let (status, body) = ask("/redis/multi-exec", r#"[["PING"],["GET","k"]]"#).await;
    assert_eq!((status, body.starts_with(r#"{"error":"NOPERM "#)), (400, true), "{body}");
}

#[tokio::test]
async fn a_redis_that_is_not_there_is_a_503() {
    let door = door(RestCommands::All);
    for (path, body) in [
        ("/redis", r#"["PING"]"#),
        ("/redis/pipeline", r#"[["PING"]]"#),
        ("/redis/multi-exec", r#"[["PING"]]"#),
        ("/redis/ping", ""),
    ] {
        let (status, body) = answer(&door, request(path, Some("s3cret"), body)).await;
        assert_eq!(status, 503, "{path}");
        assert!(body.starts_with(r#"{"error":"ERR "#), "{body}");
    }
}
