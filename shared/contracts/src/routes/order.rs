use super::{Access::*, Dialect, Method::*, Route, SUPPLIER_ENTRY, ServiceName, route};

const fn r(name: &'static str, method: super::Method, path: &'static str, access: super::Access) -> Route {
    route(ServiceName::Order, name, method, path, access)
}

pub const ROUTES: &[Route] = &[
    r("CUSTOMER_ADD", Post, "/api/customer", Account),
    r("CUSTOMER_MODIFY", Put, "/api/customer/{customer_id}", Account),
    r("Payment_Customer_List", Get, "/api/customer", Account),
    r("Payment_Customer_Info", Get, "/api/customer/{customer_id}/order", Account),
    r("Payment_Customer_Total", Get, "/api/customer/{customer_id}", Account),
    r("GOODS_LIST", Get, "/api/goods", Account),
    r("GOODS_ADD", Post, "/api/goods", Account),
    r("GOODS_INFO", Get, "/api/goods/{goods_id}", Account),
    r("GOODS_MODIFY", Put, "/api/goods/{goods_id}", Account),
    r("GOODS_DELETE", Delete, "/api/goods/{goods_id}", Account),
    r("GOODS_PREVIEW", Post, "/api/goods/{goods_id}/preview", Account),
    r("ORDER_PLACE", Post, "/api/order", Account),
    r("ORDER_PAY", Post, "/api/order/{number}/pay", Account),
    r("ORDER_CANCEL", Post, "/api/order/{number}/cancel", Account),
    r("ORDER_REQUEST", Post, "/api/order/{number}/request", Account),
    r("ORDER_INVOICE", Post, "/api/order/{number}/invoice", Account),
    r("ORDER_TIMELINE", Get, "/api/order/{number}/timeline", Account),
    r("Payment_Order_List", Get, "/api/order", Account),
    r("Payment_Order_Info", Get, "/api/order/{number}", Account),
    r("STATS_OVERVIEW", Get, "/api/stats/overview", Account),
    r("SUPPLIER_ENTRY_GET", Get, SUPPLIER_ENTRY, Key).dialect(Dialect::Supplier).not_idempotent(),
    r("SUPPLIER_ENTRY_POST", Post, SUPPLIER_ENTRY, Key).dialect(Dialect::Supplier),
    r("SUPPLIER_ORDER_LIST", Get, "/api/supplier/order/list", Key),
    r("SUPPLIER_ORDER_CLAIM", Post, "/api/supplier/order/claim", Key),
    r("SUPPLIER_ORDER_ACK", Post, "/api/supplier/order/ack", Key),
    r("SUPPLIER_ORDER_RETURN", Post, "/api/supplier/order/return", Key),
    r("SUPPLIER_ORDER_EDIT", Post, "/api/supplier/order/edit", Key),
    r("SUPPLIER_ORDER_REFUND", Post, "/api/supplier/order/refund", Key),
];
