//! Writes a hand-out as it comes, piece by piece: memory holds one chunk of orders and one piece of text.

use std::borrow::Cow;

use bytes::Bytes;
use futures_util::Stream;

use super::{
    hand_out::HandOut,
    rules::{self, Format, RowStyle},
    service::SupplierError,
};
use crate::entities::orders;

/// A piece of the answer is about this long, bytes.
const PIECE: usize = 32 * 1024;

/// An answer on its way.
pub struct Printer {
    hand_out: HandOut,
    format: Format,
    style: RowStyle,
    rows: std::vec::IntoIter<orders::Model>,
    begun: bool,
    any_row: bool,
    ended: bool,
}

impl Printer {
    /// `first` is the first chunk of `hand_out`, fetched before the answer began, so that what fails at once
    /// can still be told.
    pub fn new(hand_out: HandOut, first: Vec<orders::Model>, format: Format, style: RowStyle) -> Self {
        Self { hand_out, format, style, rows: first.into_iter(), begun: false, any_row: false, ended: false }
    }

    /// The answer's body. An error in the middle breaks the connection: a cut answer must not look whole.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes, SupplierError>> {
        futures_util::stream::try_unfold(self, |mut printer| async move {
            Ok(printer.piece().await?.map(|piece| (piece, printer)))
        })
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, SupplierError> {
        if self.ended {
            return Ok(None);
        }
        let mut out = Vec::with_capacity(PIECE + 4096);
        if !self.begun {
            self.begun = true;
            self.head(&mut out);
        }
        while out.len() < PIECE {
            if let Some(order) = self.rows.next() {
                self.row(&mut out, &order);
                continue;
            }
            self.rows = self.hand_out.next().await?.into_iter();
            if self.rows.len() == 0 {
                self.ended = true;
                self.foot(&mut out).await?;
                break;
            }
        }
        Ok(Some(out.into()))
    }

    fn head(&self, out: &mut Vec<u8>) {
        match self.format {
            Format::Json => out.extend_from_slice(b"{\"status\":true,\"rows\":["),
            Format::Csv => rules::csv_line(out, rules::COLUMNS.iter().map(|c| Cow::Borrowed(*c))),
            Format::Template(_) | Format::Nothing => {}
        }
    }

    fn row(&mut self, out: &mut Vec<u8>, order: &orders::Model) {
        match &self.format {
            Format::Json => {
                if self.any_row {
                    out.push(b',');
                }
                rules::json_row(out, order, &self.style);
            }
            Format::Csv => {
                let cells = rules::COLUMNS.iter().map(|c| rules::value(c, order, &self.style));
                rules::csv_line(out, cells);
            }
            Format::Template(template) => template.line(out, order, &self.style),
            Format::Nothing => {}
        }
        self.any_row = true;
    }

    async fn foot(&mut self, out: &mut Vec<u8>) -> Result<(), SupplierError> {
        if self.format == Format::Json {
            let total = self.hand_out.total().await?;
            out.extend_from_slice(format!("],\"total\":{total}}}").as_bytes());
        }
        Ok(())
    }
}
