//! Hides the values of secret parameters in an address before it is logged or put into a span.
//!
//! When in doubt it hides: a harmless value lost from a log costs less than a key found in one.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

const HIDDEN: &str = "***";

/// Names that mean a secret as a whole, letters and digits only.
const SECRET_NAMES: [&str; 12] =
    ["key", "sk", "sign", "auth", "jwt", "pass", "pwd", "apipwd", "credentials", "otp", "sig", "pw"];
/// Endings that mean a secret: `api_token`, `access-token`, `clientSecret`, `X-Amz-Signature`.
const SECRET_ENDINGS: [&str; 11] = [
    "apikey",
    "token",
    "password",
    "passwd",
    "secret",
    "secretkey",
    "accesskey",
    "signature",
    "authorization",
    "credential",
    "apipwd",
];

/// Encodings inside encodings that are looked into: names of names, addresses inside parameters.
const MAX_DEPTH: usize = 4;

/// `path?query` with the values of secret-looking parameters replaced by `***`. Finds them in any case,
/// percent-encoded (also twice), in brackets (`user[password]`), behind `;`, `#` and a second `?`, and inside
/// the address that another parameter carries. A secret's value is taken to run to the next `&`. Never
/// panics; borrows when there is nothing to hide. A bare query string works as well.
pub fn redact_query(path_and_query: &str) -> Cow<'_, str> {
    redacted(path_and_query, 0)
}

fn redacted(text: &str, depth: usize) -> Cow<'_, str> {
    if !text.contains(['=', '%']) {
        return Cow::Borrowed(text);
    }
    let mut out: Option<String> = None;
    let mut at = 0;
    for part in text.split('&') {
        let hidden_from = first_secret(part, depth);
        if let Some(keep) = hidden_from {
            let out = out.get_or_insert_with(|| text[..at].to_owned());
            out.push_str(&part[..keep]);
            out.push_str(HIDDEN);
        } else if let Some(out) = &mut out {
            out.push_str(part);
        }
        at += part.len();
        if at < text.len() {
            at += 1;
            if let Some(out) = &mut out {
                out.push('&');
            }
        }
    }
    out.map_or(Cow::Borrowed(text), Cow::Owned)
}

/// How much of an `&` part may be shown, when not all of it may.
fn first_secret(part: &str, depth: usize) -> Option<usize> {
    let mut at = 0;
    for piece in part.split_inclusive(['?', ';', '#']) {
        match piece.split_once('=') {
            Some((name, value)) => {
                let value_at = at + name.len() + 1;
                if is_secret(name) || carries_secret(value, depth) {
                    return Some(value_at);
                }
            }
            None if piece.contains('%') && carries_secret(piece, depth) => return Some(at),
            None => {}
        }
        at += piece.len();
    }
    None
}

/// Whether a value is itself, once decoded, an address or a query with a secret.
fn carries_secret(value: &str, depth: usize) -> bool {
    if depth >= MAX_DEPTH || !value.contains(['=', '%']) {
        return false;
    }
    let decoded = decoded(value);
    // Only an encoding or a `=` can hide a parameter; without either there is nothing new to look at.
    matches!(redacted(&decoded, depth + 1), Cow::Owned(_))
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

fn is_secret(name: &str) -> bool {
    // The path before a bare query is not part of the name.
    let mut name = Cow::Borrowed(name.rsplit('/').next().unwrap_or(name));
    for _ in 0..MAX_DEPTH {
        if !name.contains('%') {
            break;
        }
        name = Cow::Owned(decoded(&name).into_owned());
    }
    name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').any(|segment| {
        let plain: String =
            segment.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        SECRET_NAMES.contains(&plain.as_str()) || SECRET_ENDINGS.iter().any(|end| plain.ends_with(end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn becomes(from: &str, to: &str) {
        assert_eq!(redact_query(from), to, "from {from}");
    }

    #[test]
    fn every_known_name_is_hidden_in_every_case() {
        for name in [
            "apikey",
            "key",
            "token",
            "api_token",
            "password",
            "apipwd",
            "sk",
            "secret",
            "sign",
            "access_token",
            "client_secret",
            "api-key",
            "X-Amz-Signature",
            "refresh_token",
            "passwd",
        ] {
            for name in [name.to_owned(), name.to_uppercase(), name[..1].to_uppercase() + &name[1..]] {
                becomes(
                    &format!("/api/gth/syc/order?a=1&{name}=S3cr3t&b=2"),
                    &format!("/api/gth/syc/order?a=1&{name}=***&b=2"),
                );
            }
        }
    }

    #[test]
    fn what_is_no_secret_is_borrowed_unchanged() {
        for text in [
            "",
            "/",
            "/api/order/123",
            "/api/order?state=paid&start=2024-09-01+00%3A00%3A00&end=2024-12-31",
            "/api/report?keyword=x&token_type=bearer&skip=5&signed=1&design=2&monkey=3",
            "/x?api_url=https%3A%2F%2Fexample.com%2Fhook%3Fa%3D1",
            "?&&==&=&?",
            "/%E5%8D%95?q=%ff%",
        ] {
            let out = redact_query(text);
            assert!(matches!(out, Cow::Borrowed(_)), "{text} → {out}");
            assert_eq!(out, text);
        }
    }

    #[test]
    fn nasty_spellings_do_not_get_through() {
        becomes("/x?%6Bey=S&b=1", "/x?%6Bey=***&b=1");
        becomes("/x?%256Bey=S", "/x?%256Bey=***");
        becomes("/x?%4B%45%59=S", "/x?%4B%45%59=***");
        becomes("/x?key[]=S&key[0]=S", "/x?key[]=***&key[0]=***");
        becomes("/x?user[password]=S", "/x?user[password]=***");
        becomes("/x?user%5Bpassword%5D=S", "/x?user%5Bpassword%5D=***");
        becomes("/x?user.apiKey=S", "/x?user.apiKey=***");
        becomes("/x?+key+=S&%20key=S&key%00=S", "/x?+key+=***&%20key=***&key%00=***");
        becomes("/x?key=S&key=T", "/x?key=***&key=***");
        becomes("/x?key=a=b==&z=1", "/x?key=***&z=1");
        becomes("/x?password=a;b?c#d&z=1", "/x?password=***&z=1");
        becomes("/x?a=1;key=S;b=2&c=3", "/x?a=1;key=***&c=3");
        becomes("/x?a=1&amp;key=S", "/x?a=1&amp;key=***");
        becomes("/x??key=S", "/x??key=***");
        becomes("/x#token=S", "/x#token=***");
        becomes("/x?key=", "/x?key=***");
        becomes("key=S&name=admin&password=S", "key=***&name=admin&password=***");
        becomes("/x;key=S/y?z=1", "/x;key=***");
        becomes("/x?a%26key=S", "/x?a%26key=***");
        becomes("/x?key%3DS&z=1", "***&z=1".replacen("***", "/x?***", 1).as_str());
    }

    #[test]
    fn an_address_inside_a_parameter_is_looked_into() {
        becomes("/x?api_url=http%3A%2F%2Fh%2F%3Ftoken%3DS&z=1", "/x?api_url=***&z=1");
        becomes("/x?u=http%253A%252F%252Fh%253Fa%253D1%2526key%253DS", "/x?u=***");
        becomes("/x?u=http://h/?key=S&z=1", "/x?u=http://h/?key=***&z=1");
        becomes("/x?u=key=S", "/x?u=***");
    }

    #[test]
    fn no_bytes_make_it_panic_or_leak() {
        // A small deterministic generator over the characters that matter.
        let alphabet =
            ["&", "=", "%", "?", ";", "#", "%2", "%25", "%3D", "%26", "[", "]", "key", "单", "\0", "a", "/"];
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                text.push_str(alphabet[(state >> 33) as usize % alphabet.len()]);
            }
            redact_query(&text);
            let with_secret = format!("{text}&key=SECRET");
            assert!(!redact_query(&with_secret).contains("SECRET"), "{with_secret}");
        }
        let long = "a=".repeat(100_000) + "&key=S";
        assert!(redact_query(&long).ends_with("&key=***"));
    }
}
