use contracts::order_state::FulfilState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::entities::goods;

/// A named download format that an admin saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Preset {
    pub name: String,
    /// The template (`spec/supplier-api.md`, "Templates").
    pub format: String,
}

/// Names that mean something by themselves.
const RESERVED: [&str; 3] = ["json", "txt", "csv"];

/// The first preset that cannot be kept: a reserved name or one that stands twice.
pub fn bad_preset(presets: &[Preset]) -> Option<usize> {
    let taken = |i: usize, name: &str| {
        RESERVED.contains(&name.to_ascii_lowercase().as_str()) || presets[..i].iter().any(|p| p.name == name)
    };
    presets.iter().enumerate().find(|(i, p)| taken(*i, &p.name)).map(|(i, _)| i)
}

/// Where paid orders may start.
pub fn initial_state(code: &str) -> Option<FulfilState> {
    FulfilState::from_code(code).filter(|s| matches!(s, FulfilState::Queued | FulfilState::NotStarted))
}

/// Why goods cannot be ordered just now.
pub fn closed(goods: &goods::Model) -> Option<(&'static str, &'static str)> {
    match (goods.deleted_at, goods.status) {
        (0, 1) => None,
        (0, 0) => Some(("商品尚未发布", "the goods are not published yet")),
        _ => Some(("商品已下架", "the goods are withdrawn")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_have_names_of_their_own() {
        let preset = |name: &str| Preset { name: name.into(), format: "{id}".into() };
        assert_eq!(bad_preset(&[preset("a"), preset("b")]), None);
        assert_eq!(bad_preset(&[preset("a"), preset("a")]), Some(1));
        assert_eq!(bad_preset(&[preset("CSV")]), Some(0));
    }

    #[test]
    fn orders_start_queued_or_not_started() {
        assert_eq!(initial_state("DLZ"), Some(FulfilState::Queued));
        assert_eq!(initial_state("wks"), Some(FulfilState::NotStarted));
        assert_eq!((initial_state("jxz"), initial_state("")), (None, None));
    }
}
