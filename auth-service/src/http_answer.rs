//! The one answer all handlers of this service give.

use actix_web::web::Json;

use crate::wire::Data;

/// Wraps `data` as a good answer.
pub fn ok<T>(data: T) -> Json<Data<T>> {
    Json(Data { status: 0, data })
}
