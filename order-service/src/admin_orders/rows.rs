//! The order row of the report admin API: integer times are seconds, amounts are fen as strings, no null.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    entities::{goods, invoice, orders},
    wire::seconds,
};

#[derive(Debug, Serialize, ToSchema)]
pub struct AdminOrder {
    pub id: i64,
    pub number: String,
    pub order_title: String,
    /// Fen.
    pub total: String,
    pub size: i64,
    /// 1 unpaid, 2 cancelled, 3 completed.
    pub state: i16,
    pub checkout_at: i64,
    pub expire_at: i64,
    pub paid_at: i64,
    pub fulfilled_at: i64,
    pub trade_info: TradeInfo,
    pub order_item: OrderItem,
    pub customer_info: CustomerInfo,
    pub order_item_usage: Usage,
    // From here on: additions to the seed's row.
    /// Code of the fulfilment state, "" for report orders and before payment.
    pub fulfil_state: &'static str,
    /// The supplier's short number, 0 for report orders.
    pub service_no: i64,
    pub order_seq: i64,
    pub partner_id: i64,
    pub distributor_id: i64,
    pub outer_id: String,
    /// Fen given back.
    pub refund: String,
    /// Fen that came too late and must go back.
    pub refund_due: String,
    pub user_note: String,
    pub inputs: Inputs,
    pub counters: Counters,
    pub updated_at: i64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TradeInfo {
    pub third_trade_num: String,
    pub third_trade_identity: String,
    pub payment_source: i64,
    pub payment_channel: i64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OrderItem {
    /// The report; the goods where there is no report.
    pub id: i64,
    pub title: String,
    pub cover: String,
    /// Fen a piece.
    pub price: String,
    pub goods_id: i64,
    pub kind: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CustomerInfo {
    pub id: i64,
    pub nick_name: String,
    pub avatar: String,
    pub mobile: String,
}

/// `available_count` carries the reads **used**, as all examples of the seed do.
#[derive(Debug, Serialize, ToSchema)]
pub struct Usage {
    pub quantity_count: i64,
    pub available_count: i64,
    pub residue_count: i64,
    /// 1 = used up.
    pub expend_status: i32,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Inputs {
    pub aa: String,
    pub bb: String,
    pub cc: String,
    pub dd: String,
    pub ee: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Counters {
    pub need_num: [i64; 4],
    pub start_num: i64,
    pub now_num: i64,
    pub end_num: i64,
    /// 0 ok, 1 protected, 2 frozen, 3 wrong password.
    pub login_state: i16,
    pub start_time: i64,
    pub end_time: i64,
}

impl From<orders::Model> for AdminOrder {
    fn from(o: orders::Model) -> Self {
        Self {
            fulfil_state: o.fulfilment().map(|s| s.code()).unwrap_or_default(),
            id: o.id,
            order_title: o.title.clone(),
            total: o.total_fen.to_string(),
            size: o.size,
            state: o.state,
            checkout_at: seconds(o.checkout_at),
            expire_at: seconds(o.expire_at),
            paid_at: seconds(o.paid_at),
            fulfilled_at: seconds(o.fulfilled_at),
            trade_info: TradeInfo {
                third_trade_num: o.third_trade_num,
                third_trade_identity: o.third_trade_identity,
                payment_source: o.payment_source,
                payment_channel: o.payment_channel,
            },
            order_item: OrderItem {
                id: if o.kind == goods::REPORT { o.report_id } else { o.goods_id },
                title: o.title,
                cover: o.cover,
                price: o.price_fen.to_string(),
                goods_id: o.goods_id,
                kind: o.kind,
            },
            customer_info: CustomerInfo {
                id: o.customer_id,
                nick_name: o.nick_name,
                avatar: o.avatar,
                mobile: o.mobile,
            },
            order_item_usage: Usage {
                quantity_count: o.read_quota,
                available_count: o.read_used,
                residue_count: o.read_quota - o.read_used,
                expend_status: i32::from(o.read_quota > 0 && o.read_used == o.read_quota),
            },
            number: o.number,
            service_no: o.service_no,
            order_seq: o.version,
            partner_id: o.partner_id,
            distributor_id: o.distributor_id,
            outer_id: o.outer_id,
            refund: o.refund_fen.to_string(),
            refund_due: o.refund_due_fen.to_string(),
            user_note: o.user_note,
            inputs: Inputs { aa: o.aa, bb: o.bb, cc: o.cc, dd: o.dd, ee: o.ee },
            counters: Counters {
                need_num: [o.need_num_0, o.need_num_1, o.need_num_2, o.need_num_3],
                start_num: o.start_num,
                now_num: o.now_num,
                end_num: o.end_num,
                login_state: o.login_state,
                start_time: seconds(o.start_time),
                end_time: seconds(o.end_time),
            },
            updated_at: seconds(o.updated_at),
        }
    }
}

/// Fen, written as a JSON number of yuan without a float on the way: `0`, `12`, `0.01`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Yuan(pub i64);

impl Serialize for Yuan {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (yuan, cents) = (self.0 / 100, self.0 % 100);
        let text = match cents {
            0 => yuan.to_string(),
            c if c % 10 == 0 => format!("{yuan}.{}", c / 10),
            c => format!("{yuan}.{c:02}"),
        };
        let number = serde_json::value::RawValue::from_string(text).map_err(serde::ser::Error::custom)?;
        number.serialize(serializer)
    }
}

/// The invoice of an order; without one all keys stand there, "" and 0.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct InvoiceInfo {
    /// `state` and `status` carry the same figure: 0 no invoice, 1 asked for, 2 issued.
    pub state: i32,
    pub status: i32,
    pub create_time: i64,
    pub is_vat: i32,
    pub invoice_title: String,
    /// Yuan.
    #[schema(value_type = f64)]
    pub invoice_amount: Yuan,
    pub invoice_tax_num: String,
    pub vat_name: String,
    pub vat_mail_address: String,
    pub vat_company_name: String,
    pub vat_company_address: String,
    pub vat_company_mobile: String,
    pub vat_telphone: String,
    pub vat_bank_name: String,
    /// Spelt so in the seed.
    #[serde(rename = "vat_bank_accoun")]
    pub vat_bank_account: String,
    /// 1 person, 2 company.
    pub invoice_option: i32,
}

impl From<invoice::Model> for InvoiceInfo {
    fn from(i: invoice::Model) -> Self {
        Self {
            state: i32::from(i.state),
            status: i32::from(i.state),
            create_time: seconds(i.created_at),
            is_vat: i32::from(i.is_vat),
            invoice_title: i.invoice_title,
            invoice_amount: Yuan(i.amount_fen),
            invoice_tax_num: i.invoice_tax_num,
            vat_name: i.vat_name,
            vat_mail_address: i.vat_mail_address,
            vat_company_name: i.vat_company_name,
            vat_company_address: i.vat_company_address,
            vat_company_mobile: i.vat_company_mobile,
            vat_telphone: i.vat_telphone,
            vat_bank_name: i.vat_bank_name,
            vat_bank_account: i.vat_bank_account,
            invoice_option: i32::from(i.invoice_option),
        }
    }
}

/// 23: an order with its invoice.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminOrderInfo {
    #[serde(flatten)]
    pub order: AdminOrder,
    pub invoice_info: InvoiceInfo,
}
