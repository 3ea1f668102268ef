use contracts::{event::Event, events::PartnerChanged};
use platform::{
    clock::Clock,
    db::WriteTx,
    inbox::{Consumer, Handling},
};

use super::store;

/// `order.partners`: follows the goods a partner is given.
pub struct Partners {
    pub clock: Clock,
}

impl Consumer for Partners {
    fn handle<'a>(&'a self, tx: &'a WriteTx, events: &'a [Event]) -> Handling<'a> {
        Box::pin(async move {
            for event in events {
                let partner: PartnerChanged = event.read()?;
                let wanted = if partner.deleted { Vec::new() } else { partner.goods_ids };
                let Some(before) = store::replace_list(tx, partner.id, partner.version, &wanted).await?
                else {
                    continue;
                };
                let now = self.clock.now_ms();
                let added: Vec<i64> = wanted.iter().filter(|id| !before.contains(id)).copied().collect();
                let removed: Vec<i64> = before.iter().filter(|id| !wanted.contains(id)).copied().collect();
                store::give(tx, &added, partner.id, now).await?;
                store::take_back(tx, &removed, partner.id, now).await?;
            }
            Ok(())
        })
    }
}
