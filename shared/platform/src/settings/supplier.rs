use serde::Deserialize;

/// Longest name of the entry, characters.
const MAX_ENTRY: usize = 64;

/// How suppliers' programs reach us.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SupplierSettings {
    /// Name of the drop-in entry, as the suppliers' programs know it (`spec/supplier-api.md`). The gateway and
    /// order-service must be told the same.
    pub entry: String,
}

impl Default for SupplierSettings {
    fn default() -> Self {
        Self { entry: contracts::routes::SUPPLIER_ENTRY.trim_start_matches('/').into() }
    }
}

impl SupplierSettings {
    /// Path of the drop-in entry.
    pub fn path(&self) -> String {
        format!("/{}", self.entry)
    }

    /// Adds a sentence when the entry's name cannot be one. It ends with `.php`, so it never meets another path.
    pub fn validate(&self, problems: &mut Vec<String>) {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let stem = self.entry.strip_suffix(".php").unwrap_or_default();
        if stem.is_empty() || self.entry.len() > MAX_ENTRY || !stem.chars().all(word) {
            problems.push(format!(
                "supplier.entry must be a name of letters, digits, _ or - with .php behind it, at most {MAX_ENTRY} characters (BAODAN_SUPPLIER__ENTRY); it is {:?}",
                self.entry
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_one_plain_name() {
        let problems = |entry: &str| {
            let mut problems = Vec::new();
            SupplierSettings { entry: entry.into() }.validate(&mut problems);
            problems.len()
        };
        assert_eq!(problems(&SupplierSettings::default().entry), 0);
        for good in ["shop.php", "admin_x-9.php"] {
            assert_eq!(problems(good), 0, "{good}");
        }
        let long = format!("{}.php", "x".repeat(61));
        for bad in [
            "",
            ".php",
            "/shop.php",
            "a/b.php",
            "../x.php",
            "{x}.php",
            "a b.php",
            "api",
            "shop.PHP",
            "x.php?",
            "店.php",
            &long,
        ] {
            assert_eq!(problems(bad), 1, "{bad}");
        }
    }
}
