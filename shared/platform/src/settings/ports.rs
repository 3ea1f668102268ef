//! A list of ports, as a TOML list or number, or as the text of a variable: `443`, `443,8443`.

use std::fmt;

use serde::de::{Deserializer, Error, SeqAccess, Visitor};

pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u16>, D::Error> {
    from.deserialize_any(Ports)
}

struct Ports;

impl<'de> Visitor<'de> for Ports {
    type Value = Vec<u16>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("port numbers, comma-separated")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u16>, E> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| part.parse().map_err(|_| E::custom(format!("{part:?} is no port number")))).collect()
    }

    fn visit_i64<E: Error>(self, port: i64) -> Result<Vec<u16>, E> {
        u16::try_from(port).map(|port| vec![port]).map_err(|_| E::custom(format!("{port} is no port number")))
    }

    fn visit_u64<E: Error>(self, port: u64) -> Result<Vec<u16>, E> {
        u16::try_from(port).map(|port| vec![port]).map_err(|_| E::custom(format!("{port} is no port number")))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<u16>, A::Error> {
        let mut ports = Vec::new();
        while let Some(port) = items.next_element()? {
            ports.push(port);
        }
        Ok(ports)
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::CallbackSettings;

    #[test]
    fn ports_are_a_number_a_list_or_a_text() {
        let read = |text: &str| toml::from_str::<CallbackSettings>(text).map(|s| s.ports);
        for (text, ports) in [
            ("", &[][..]),
            ("ports = 443", &[443]),
            ("ports = [443, 8443]", &[443, 8443]),
            ("ports = '443'", &[443]),
            ("ports = '443, 8443,'", &[443, 8443]),
        ] {
            assert_eq!(read(text).expect(text), ports, "{text}");
        }
        for bad in ["ports = 70000", "ports = -1", "ports = '443;8443'", "ports = ['x']", "ports = true"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
