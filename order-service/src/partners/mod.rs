//! Goods assigned on a partner's own page (auth-service): `partner.changed` carries the list, and what was
//! added to or taken off it since the last one moves `goods.partner_id` here. The goods' own page stays the other way.

pub mod events;
mod store;
