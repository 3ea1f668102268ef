//! Which spellings of a path exist. There is exactly one for each resource: everything that another program
//! between here and a handler could read differently is no path at all. It is never repaired and passed on,
//! because gateway and service would then have checked different things.

use percent_encoding::percent_decode_str;

/// Longest path that is looked at, bytes.
const MAX_PATH_BYTES: usize = 2048;

/// Is `path` spelt in the one accepted way? Refused: empty and dot segments, a trailing slash, backslashes,
/// anything but printable ASCII, and percent-encodings of what needs none (`%61` is `a`: a service decodes it
/// before it matches, the route table does not), of separators, dots, controls and percent signs.
pub(crate) fn is_canonical(path: &str) -> bool {
    if path == "/" {
        return true;
    }
    let bytes = path.as_bytes();
    if bytes.len() > MAX_PATH_BYTES || bytes.first() != Some(&b'/') || bytes.last() == Some(&b'/') {
        return false;
    }
    let mut encoded = false;
    let mut segment_start = 1;
    for (i, &byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            b'/' => {
                if is_special(&bytes[segment_start..i]) {
                    return false;
                }
                segment_start = i + 1;
            }
            b'%' => {
                encoded = true;
                if !is_needed_encoding(bytes.get(i + 1..i + 3)) {
                    return false;
                }
            }
            b'\\' | 0..=0x20 | 0x7f.. => return false,
            _ => {}
        }
    }
    !is_special(&bytes[segment_start..]) && (!encoded || percent_decode_str(path).decode_utf8().is_ok())
}

fn is_special(segment: &[u8]) -> bool {
    matches!(segment, b"" | b"." | b"..")
}

/// Does `%` with these two digits stand for something that could not be written plainly?
fn is_needed_encoding(digits: Option<&[u8]>) -> bool {
    let Some(&[high, low]) = digits else { return false };
    let (Some(high), Some(low)) = (hex(high), hex(low)) else { return false };
    match high * 16 + low {
        byte if byte.is_ascii_alphanumeric() => false,
        b'-' | b'.' | b'_' | b'~' | b'/' | b'\\' | b'%' | 0..0x20 | 0x7f => false,
        _ => true,
    }
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_for_each_resource() {
        for good in [
            "/",
            "/api/report",
            "/api/report/12",
            "/admin_jiuwuxiaohun.php",
            "/api/permission/PAYMENT_REPORT_LIST",
            "/api/permission/a%20b",
            "/api/x/%E5%8D%95",
            "/.well-known/x",
            "/a/...",
            "/a..b/c.",
            "/a;b=c/d@e:f",
        ] {
            assert!(is_canonical(good), "{good}");
        }
        for bad in [
            "",
            "api",
            "*",
            "//",
            "/api/",
            "/api//report",
            "//api/report",
            "/api/report//",
            "/./api",
            "/api/.",
            "/api/..",
            "/api/../account",
            "/api/report/../../account",
            "/api%2freport",
            "/api%2Freport",
            "/api/%2e%2e/account",
            "/api/%2E/account",
            "/api/.%2e/account",
            "/api%5creport",
            "/api%5Creport",
            "/api\\report",
            "/api/report%00",
            "/api/report%0a",
            "/api/report%7f",
            "/api/%72eport",
            "/api/report/%64ownloadurl",
            "/api/report/%7e",
            "/api/report%252f",
            "/api/report/%",
            "/api/report/%4",
            "/api/report/%zz",
            "/api/report/%+1",
            "/api/report/%ff",
            "/api/re port",
            "/api/\u{5355}",
            "/api/\u{7f}",
        ] {
            assert!(!is_canonical(bad), "{bad:?}");
        }
        assert!(!is_canonical(&format!("/{}", "a".repeat(MAX_PATH_BYTES))));
    }
}
