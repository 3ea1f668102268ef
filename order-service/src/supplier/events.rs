use contracts::{
    event::Event,
    events::{KeyChanged, KeyOwner},
};
use platform::{
    db::WriteTx,
    inbox::{Consumer, HandleError, Handling},
};

use super::store;
use crate::entities::supplier_key;

/// `order.keys`: who may download which goods. Partners' keys are none of ours.
pub struct Keys;

impl Consumer for Keys {
    fn handle<'a>(&'a self, tx: &'a WriteTx, events: &'a [Event]) -> Handling<'a> {
        Box::pin(async move {
            for event in events {
                let key: KeyChanged = event.read()?;
                let KeyOwner::Supplier { supplier_id, supplier_name, goods_ids } = key.owner else {
                    continue;
                };
                let goods_ids =
                    serde_json::to_string(&goods_ids).map_err(|e| HandleError::Rejected(e.to_string()))?;
                let row = supplier_key::Model {
                    key_id: key.id,
                    version: key.version,
                    supplier_id,
                    supplier_name,
                    goods_ids,
                    key_sha256: key.key_sha256,
                    enabled: key.enabled,
                    expires_at: key.expires_at,
                    used_at: 0,
                };
                store::keep_key(tx, &row).await?;
            }
            Ok(())
        })
    }
}
