use std::collections::{BTreeSet, HashSet};

use contracts::routes;

/// Whoever holds all of these can give itself and others everything else: the last enabled account that does must
/// stay.
pub const KEYS_TO_ALL: [&str; 3] = ["ACCOUNT_MODIFY", "ROLE_MODIFY", "PERMISSION_ADD"];

/// Longest permission name.
pub const MAX_PERMISSION_CHARS: usize = 64;

/// Is `name` formed like a route name: letters, digits and `_`?
pub fn is_permission_name(name: &str) -> bool {
    (1..=MAX_PERMISSION_CHARS).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The permission names of today's route table, each once.
pub fn route_permissions() -> BTreeSet<&'static str> {
    routes::permissions().collect()
}

/// How the registry and the route table differ.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// In the table, never registered: to be registered now.
    pub new: Vec<String>,
    /// In the table, taken out of the registry by an operator: these routes answer 403 status 4.
    pub closed: Vec<String>,
    /// Registered, but no longer in the table.
    pub stale: Vec<String>,
}

/// Compares `known` (name, registered) with the names of the route table.
pub fn compare(known: &[(String, bool)], table: &BTreeSet<&str>) -> Difference {
    let seen: HashSet<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
    let names = |registered: bool, in_table: bool| {
        let wanted =
            |(name, r): &&(String, bool)| *r == registered && table.contains(name.as_str()) == in_table;
        known.iter().filter(wanted).map(|(name, _)| name.clone()).collect()
    };
    Difference {
        new: table.iter().filter(|name| !seen.contains(*name)).map(|name| (*name).to_owned()).collect(),
        closed: names(false, true),
        stale: names(true, false),
    }
}

/// Of what is to be given, the first permission the giver may not give: one he does not hold himself. Who holds
/// [`KEYS_TO_ALL`] may give everything.
pub fn beyond<'a>(held: &HashSet<String>, given: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if KEYS_TO_ALL.iter().all(|key| held.contains(*key)) {
        return None;
    }
    given.into_iter().find(|name| !held.contains(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> HashSet<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn the_keys_to_all_stand_in_the_route_table() {
        for key in KEYS_TO_ALL {
            assert!(route_permissions().contains(key), "{key}");
        }
        assert!(route_permissions().iter().all(|name| is_permission_name(name)));
    }

    #[test]
    fn new_closed_and_stale_names_are_told_apart() {
        let known = [("OPEN", true), ("CLOSED", false), ("OLD", true), ("GONE", false)];
        let known: Vec<_> = known.iter().map(|(n, r)| ((*n).to_owned(), *r)).collect();
        let table = BTreeSet::from(["OPEN", "CLOSED", "FRESH"]);
        let expected = Difference {
            new: vec!["FRESH".into()],
            closed: vec!["CLOSED".into()],
            stale: vec!["OLD".into()],
        };
        assert_eq!(compare(&known, &table), expected);
    }

    #[test]
    fn nobody_gives_what_he_does_not_hold() {
        let clerk = set(&["ORDER_LIST", "ACCOUNT_MODIFY"]);
        assert_eq!(beyond(&clerk, ["ORDER_LIST"]), None);
        assert_eq!(beyond(&clerk, ["ORDER_LIST", "ROLE_MODIFY"]), Some("ROLE_MODIFY"));
        assert_eq!(beyond(&set(&KEYS_TO_ALL), ["ANYTHING"]), None);
        assert_eq!(beyond(&set(&[]), []), None);
    }

    #[test]
    fn odd_permission_names_are_refused() {
        for name in ["A", "Payment_Order_List", &"X".repeat(64)] {
            assert!(is_permission_name(name), "{name}");
        }
        for name in ["", "A B", "A-B", "权限", "A\0", "😀", &"X".repeat(65)] {
            assert!(!is_permission_name(name), "{name}");
        }
    }
}
