//! Callers from elsewhere without a token learn nothing, on no path, but that the node lives.

use axum::http::Method;
use axum::routing::MethodFilter;

use super::super::ENDPOINTS;
use super::world::World;

#[tokio::test]
async fn strangers_learn_that_the_node_lives_and_nothing_else() {
    let world = World::new();
    let far = "192.0.2.7".parse().unwrap();
    let before = world.mark();
    let mut open = Vec::new();
    for endpoint in ENDPOINTS {
        let method = if endpoint.method == MethodFilter::GET { Method::GET } else { Method::POST };
        let path = endpoint.path.replace("{id}", &"0".repeat(64)).replace("{height}", "1");
        let record = world.grant("alice", "read", "file:x").bytes().to_vec();
        let headers = [("content-type", "application/octet-stream"), ("x-forwarded-for", "127.0.0.1")];
        let reply = world.call_from(far, method.clone(), &path, &headers, record).await;
        if reply.status.is_success() {
            open.push(endpoint.path);
            continue;
        }
        if super::super::authzen::speaks_at(&path) {
            assert_eq!(reply.status, 401, "{method} {path}");
        } else {
            assert_eq!(reply.problem(), (401, "unauthenticated".to_owned(), None), "{method} {path}");
        }
        assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"writ\""), "{method} {path}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{method} {path}");
    }
    assert_eq!(open, ["/healthz"]);
    assert_eq!(world.mark(), before, "and nothing was taken from them");
}

#[tokio::test]
async fn strangers_do_not_learn_which_paths_there_are() {
    let world = World::new();
    let far = "2001:db8::1".parse().unwrap();
    for (method, path) in [(Method::GET, "/v1/nowhere"), (Method::DELETE, "/v1/status"), (Method::PUT, "/healthz")] {
        let uri = format!("{path}?x=1");
        let request = axum::http::Request::builder().method(method.clone()).uri(&uri);
        let request = request.extension(super::super::access::Peer(far)).body(axum::body::Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(world.router.clone(), request).await.unwrap();
        assert_eq!(response.status().as_u16(), 401, "{method} {path}");
    }
}
