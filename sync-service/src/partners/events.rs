use contracts::{
    event::{Event, Payload},
    events::{KeyChanged, KeyOwner, PartnerChanged, TokenRevoked},
};
use platform::{
    db::WriteTx,
    inbox::{Consumer, HandleError, Handling},
};

use super::store;
use crate::ctx::Ctx;

/// Revocations are kept a little longer than any token lives.
const REVOKED_KEEP_MS: i64 = 2 * 86_400_000;

/// The consumer `sync.partners`.
pub struct PartnerChanges {
    pub ctx: Ctx,
}

impl PartnerChanges {
    async fn take(&self, tx: &WriteTx, events: &[Event]) -> Result<(), HandleError> {
        // Partners and keys change by hand, a few a day: one statement each is no cost.
        for event in events {
            if event.kind == PartnerChanged::TYPE {
                store::keep(tx, &event.read()?, self.ctx.platform.clock.now_ms()).await?;
            } else if event.kind == KeyChanged::TYPE {
                let key: KeyChanged = event.read()?;
                // Suppliers' keys are order-service's matter.
                if let (KeyOwner::Partner { partner_id }, Some(settings)) =
                    (&key.owner, &key.partner_settings)
                {
                    store::keep_key(tx, &key, *partner_id, settings).await?;
                }
            }
        }
        Ok(())
    }
}

impl Consumer for PartnerChanges {
    fn handle<'a>(&'a self, tx: &'a WriteTx, events: &'a [Event]) -> Handling<'a> {
        Box::pin(self.take(tx, events))
    }

    fn committed(&self) {
        self.ctx.engine.subscriptions_changed();
    }
}

/// The consumer `sync.tokens`.
pub struct TokenRevocations {
    pub ctx: Ctx,
}

impl TokenRevocations {
    async fn take(&self, tx: &WriteTx, events: &[Event]) -> Result<(), HandleError> {
        for event in events {
            let revoked: TokenRevoked = event.read()?;
            let at = chrono::DateTime::parse_from_rfc3339(&event.time).map_err(|e| {
                HandleError::Rejected(format!("event {}: time {:?}: {e}", event.id, event.time))
            })?;
            store::revoke(tx, revoked.account_id, &revoked.jti, at.timestamp_millis()).await?;
        }
        store::forget_revoked(tx, self.ctx.platform.clock.now_ms() - REVOKED_KEEP_MS).await?;
        Ok(())
    }
}

impl Consumer for TokenRevocations {
    fn handle<'a>(&'a self, tx: &'a WriteTx, events: &'a [Event]) -> Handling<'a> {
        Box::pin(self.take(tx, events))
    }
}
