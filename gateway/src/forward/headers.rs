//! Which headers pass. Inwards an allow-list by exact name: whatever else a client sends — another spelling of
//! an identity header, a hop-by-hop header, an invention — never reaches a service, on no route. Outwards
//! everything but what belongs to one connection or tells about the inside.

use actix_web::http::header::{
    self, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use contracts::{
    identity::{INTERNAL_TOKEN_HEADER, REQUEST_ID_HEADER},
    routes::Access,
};
use platform::http::context::{is_request_id, is_traceparent};

pub(crate) static INTERNAL_TOKEN: HeaderName = HeaderName::from_static(INTERNAL_TOKEN_HEADER);
pub(crate) static REQUEST_ID: HeaderName = HeaderName::from_static(REQUEST_ID_HEADER);
pub(crate) static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Prefix of every header that is ours alone.
const OWN_PREFIX: &str = "x-baodan-";

/// How often a header may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// Every value; together they are a list.
    All,
    /// The first value; repeats are dropped, so that nobody can mean another one.
    First,
    /// The value if it is the only one, else none.
    Only,
}

/// How a client's header is taken on a route of this access. Names are lower case here, always.
fn taken(name: &str, access: Access) -> Option<Taken> {
    match name {
        "accept" | "accept-encoding" | "accept-language" => Some(Taken::All),
        "content-type"
        | "content-encoding"
        | "user-agent"
        | "idempotency-key"
        | "if-match"
        | "if-none-match"
        | "if-modified-since"
        | "if-unmodified-since"
        | "if-range"
        | "range"
        | "x-device-id" => Some(Taken::First),
        // What the service behind a key entry checks itself; elsewhere no service sees a credential.
        "authorization" | "x-api-key" | "sign" | "sign-sha256" if access == Access::Key => Some(Taken::Only),
        _ => None,
    }
}

/// Calls `pass` for every header of a client that a service gets to see.
pub(crate) fn for_each_allowed(
    headers: &HeaderMap,
    access: Access,
    mut pass: impl FnMut(&HeaderName, &HeaderValue),
) {
    let mut last: Option<&HeaderName> = None;
    for (name, value) in headers {
        let repeated = last.replace(name) == Some(name);
        let passes = match taken(name.as_str(), access) {
            None => false,
            Some(Taken::All) => true,
            Some(Taken::First) => !repeated,
            Some(Taken::Only) => !repeated && headers.get_all(name).len() == 1,
        };
        if passes {
            pass(name, value);
        }
    }
}

/// The headers a handler in this process gets to see instead of the client's.
pub(crate) fn rewrite(headers: &mut HeaderMap, access: Access, own: [(&HeaderName, Option<HeaderValue>); 3]) {
    let mut clean = HeaderMap::with_capacity(headers.len_keys() + own.len());
    for_each_allowed(headers, access, |name, value| clean.append(name.clone(), value.clone()));
    // How much of a body there is, as the server found out.
    if let Some(length) = headers.get(header::CONTENT_LENGTH) {
        clean.insert(header::CONTENT_LENGTH, length.clone());
    }
    for (name, value) in own {
        if let Some(value) = value {
            clean.insert(name.clone(), value);
        }
    }
    *headers = clean;
}

/// The client's request id, if it is one and the only one.
pub(crate) fn request_id(headers: &HeaderMap) -> Option<&str> {
    only(headers, &REQUEST_ID).filter(|id| is_request_id(id))
}

/// The client's trace context, if it is one and the only one.
pub(crate) fn traceparent(headers: &HeaderMap) -> Option<&str> {
    only(headers, &TRACEPARENT).filter(|t| is_traceparent(t))
}

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name);
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

/// Takes out of a service's answer what must not leave the house: hop-by-hop headers, those the `Connection`
/// header names, the length (the server writes its own), who answered, and anything of our own.
pub(crate) fn clean_answer(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .map(|option| option.trim().to_ascii_lowercase())
        .filter(|option| !matches!(option.as_str(), "" | "close" | "keep-alive"))
        .collect();
    headers.retain(|name, _| {
        let name = name.as_str();
        !is_of_one_hop(name)
            && !name.starts_with(OWN_PREFIX)
            && (named.is_empty() || !named.iter().any(|n| n == name))
    });
}

fn is_of_one_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "content-length"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "server"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "via"
            | "x-powered-by"
    )
}

/// What a page may load and do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageKind {
    /// Data, not a page: nothing.
    Data,
    /// The console and the API browser: what comes from here. Both set styles from code; images may be data, or a
    /// report's cover, which can lie anywhere.
    App,
}

/// Adds what every answer carries.
pub(crate) fn secure(headers: &mut HeaderMap, kind: PageKind) {
    const APP: &str = "default-src 'self'; img-src 'self' data: blob: https:; style-src 'self' 'unsafe-inline'; \
                       font-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; \
                       frame-ancestors 'none'";
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    match kind {
        PageKind::App => {
            headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(APP));
        }
        PageKind::Data => {
            // A report, an order, a token: nothing a cache on the way should keep, unless the service says so.
            if !headers.contains_key(header::CACHE_CONTROL) {
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            headers.append(name, HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    fn allowed(pairs: &[(&str, &str)], access: Access) -> Vec<String> {
        let mut seen = Vec::new();
        for_each_allowed(&map(pairs), access, |n, v| {
            seen.push(format!("{n}: {}", v.to_str().expect("ascii")))
        });
        seen.sort();
        seen
    }

    #[test]
    fn only_exact_names_pass() {
        let pairs = [
            ("Accept", "a/b"),
            ("accept", "c/d"),
            ("Content-Type", "application/json"),
            ("Content_Type", "text/plain"),
            ("X-Baodan-Internal", "forged"),
            ("x_baodan_internal", "forged"),
            ("x-baodan.internal", "forged"),
            ("x-baodan-internal-", "forged"),
            ("X-Request-Id", "1"),
            ("X-Forwarded-For", "127.0.0.1"),
            ("X-Real-IP", "127.0.0.1"),
            ("Forwarded", "for=127.0.0.1"),
            ("X-Account-Id", "1"),
            ("Cookie", "a=b"),
            ("Host", "evil"),
            ("Connection", "content-type"),
            ("TE", "trailers"),
            ("Expect", "100-continue"),
            ("Authorization", "Bearer a.b.c"),
            ("X-Api-Key", "k"),
            ("Sign", "s"),
        ];
        let plain = ["accept: a/b", "accept: c/d", "content-type: application/json"];
        for access in [Access::Public, Access::SignedIn, Access::Account, Access::AccountOrPartner] {
            assert_eq!(allowed(&pairs, access), plain, "{access:?}");
        }
        let key = allowed(&pairs, Access::Key);
        assert_eq!(key.len(), plain.len() + 3, "{key:?}");
    }

    #[test]
    fn repeats_of_single_headers_do_not_pass() {
        let first = allowed(
            &[("Content-Type", "a"), ("content-type", "b"), ("Idempotency-Key", "1")],
            Access::Account,
        );
        assert_eq!(first, ["content-type: a", "idempotency-key: 1"]);
        let key = [("Authorization", "a"), ("Authorization", "b"), ("Sign", "s")];
        assert_eq!(allowed(&key, Access::Key), ["sign: s"]);
        assert_eq!(request_id(&map(&[("x-request-id", "a"), ("x-request-id", "b")])), None);
        assert_eq!(request_id(&map(&[("X-Request-Id", "a-1")])), Some("a-1"));
        assert_eq!(request_id(&map(&[("X-Request-Id", "a b")])), None);
    }

    #[test]
    fn a_handler_here_sees_the_same_and_what_is_ours() {
        let mut headers =
            map(&[("Content-Length", "3"), ("x-baodan-internal", "forged"), ("host", "h"), ("Accept", "x")]);
        let own = [
            (&INTERNAL_TOKEN, Some(HeaderValue::from_static("signed"))),
            (&REQUEST_ID, Some(HeaderValue::from_static("id"))),
            (&TRACEPARENT, None),
        ];
        rewrite(&mut headers, Access::Public, own);
        let mut seen: Vec<_> =
            headers.iter().map(|(n, v)| format!("{n}={}", v.to_str().expect("ascii"))).collect();
        seen.sort();
        assert_eq!(seen, ["accept=x", "content-length=3", "x-baodan-internal=signed", "x-request-id=id"]);
    }

    #[test]
    fn an_answer_loses_what_is_of_one_hop_or_of_the_inside() {
        let mut headers = map(&[
            ("Connection", "keep-alive, X-Hop"),
            ("X-Hop", "1"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Length", "1"),
            ("Server", "actix"),
            ("X-Baodan-Node", "7"),
            ("Content-Type", "application/json"),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
        ]);
        clean_answer(&mut headers);
        let mut names: Vec<_> = headers.iter().map(|(n, _)| n.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-type", "set-cookie", "set-cookie"]);
    }
}
