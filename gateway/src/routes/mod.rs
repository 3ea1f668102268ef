//! Which route a request means. One table of data (`contracts::routes`); nothing that is not in it is ever
//! passed on. Static segments win over parameters (`/api/report/downloadurl` before `/api/report/{report_id}`), and
//! a parameter `…_id` is a decimal integer: `+1` is no other name of 1.

pub(crate) mod path;

use std::collections::BTreeMap;

use actix_web::http;
use contracts::routes::{Method, Route};
use platform::service::StartError;

/// The route table, ready to be asked.
pub(crate) struct Table {
    routes: Vec<&'static Route>,
    paths: matchit::Router<Methods>,
}

/// Index of the route for each method of a path.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Methods([Option<u16>; METHODS.len()]);

const METHODS: [Method; 4] = [Method::Get, Method::Post, Method::Put, Method::Delete];

impl Methods {
    /// The value of an `Allow` header.
    pub fn allow(self) -> String {
        let names: Vec<_> =
            METHODS.iter().zip(self.0).filter_map(|(m, route)| route.map(|_| m.as_str())).collect();
        names.join(", ")
    }
}

/// What a method and a path mean.
pub(crate) enum Found {
    /// The route at this index.
    Route(usize),
    /// The path exists, with other methods.
    WrongMethod(Methods),
    Nothing,
}

impl Table {
    pub fn new(routes: impl IntoIterator<Item = &'static Route>) -> Result<Self, StartError> {
        let routes: Vec<_> = routes.into_iter().collect();
        let mut by_path: BTreeMap<&str, Methods> = BTreeMap::new();
        for (index, route) in routes.iter().enumerate() {
            let slot = &mut by_path.entry(route.path).or_default().0[slot_of(route.method)];
            let index = u16::try_from(index).map_err(|_| StartError::Settings("too many routes".into()))?;
            if slot.replace(index).is_some() {
                return Err(StartError::Settings(format!(
                    "two routes for {} {}",
                    route.method.as_str(),
                    route.path
                )));
            }
        }
        let mut paths = matchit::Router::new();
        for (path, methods) in by_path {
            paths
                .insert(path, methods)
                .map_err(|e| StartError::Settings(format!("the route {path} cannot be matched: {e}")))?;
        }
        Ok(Self { routes, paths })
    }

    pub fn routes(&self) -> &[&'static Route] {
        &self.routes
    }

    /// Looks a canonical path up.
    pub fn find(&self, method: &http::Method, path: &str) -> Found {
        let Ok(matched) = self.paths.at(path) else { return Found::Nothing };
        let decimal = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if matched.params.iter().any(|(name, value)| name.ends_with("_id") && !decimal(value)) {
            return Found::Nothing;
        }
        let slot = match *method {
            http::Method::GET => Method::Get,
            http::Method::POST => Method::Post,
            http::Method::PUT => Method::Put,
            http::Method::DELETE => Method::Delete,
            _ => return Found::WrongMethod(*matched.value),
        };
        match matched.value.0[slot_of(slot)] {
            Some(index) => Found::Route(usize::from(index)),
            None => Found::WrongMethod(*matched.value),
        }
    }
}

fn slot_of(method: Method) -> usize {
    match method {
        Method::Get => 0,
        Method::Post => 1,
        Method::Put => 2,
        Method::Delete => 3,
    }
}

#[cfg(test)]
mod tests {
    use contracts::routes::{Access, Dialect, ServiceName};

    use super::*;

    const fn route(name: &'static str, method: Method, path: &'static str) -> Route {
        Route {
            name,
            method,
            path,
            service: ServiceName::Report,
            access: Access::Account,
            dialect: Dialect::Admin,
            body_limit_bytes: 1,
            timeout_seconds: 1,
            idempotent: true,
        }
    }

    static ROUTES: [Route; 5] = [
        route("INFO", Method::Get, "/api/report/{report_id}"),
        route("URL", Method::Get, "/api/report/downloadurl"),
        route("WHITE", Method::Get, "/api/report/{id}/white"),
        route("DELETE", Method::Delete, "/api/report/{report_id}"),
        route("PHP", Method::Post, "/admin_jiuwuxiaohun.php"),
    ];

    fn name(table: &Table, method: &http::Method, path: &str) -> String {
        match table.find(method, path) {
            Found::Route(index) => table.routes()[index].name.to_owned(),
            Found::WrongMethod(methods) => methods.allow(),
            Found::Nothing => "nothing".into(),
        }
    }

    #[test]
    fn methods_and_static_segments_decide() {
        let table = Table::new(&ROUTES).expect("a table");
        for (method, path, expected) in [
            (http::Method::GET, "/api/report/7", "INFO"),
            (http::Method::GET, "/api/report/downloadurl", "URL"),
            (http::Method::GET, "/api/report/downloadurl/white", "WHITE"),
            (http::Method::GET, "/api/report/7/white", "WHITE"),
            (http::Method::DELETE, "/api/report/7", "DELETE"),
            (http::Method::POST, "/api/report/7", "GET, DELETE"),
            (http::Method::DELETE, "/api/report/downloadurl", "GET"),
            (http::Method::HEAD, "/api/report/7", "GET, DELETE"),
            (http::Method::OPTIONS, "/admin_jiuwuxiaohun.php", "POST"),
            (http::Method::GET, "/api/report", "nothing"),
            (http::Method::GET, "/api/report/7/black", "nothing"),
            (http::Method::GET, "/api/Report/7", "nothing"),
            (http::Method::GET, "/api/report/+7", "nothing"),
            (http::Method::GET, "/api/report/-7", "nothing"),
            (http::Method::DELETE, "/api/report/7.0", "nothing"),
            (http::Method::GET, "/api/report/7%20", "nothing"),
            (http::Method::GET, "/api/report/seven", "nothing"),
        ] {
            assert_eq!(name(&table, &method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn the_real_table_can_be_matched_route_by_route() {
        let table = Table::new(contracts::routes::all()).expect("a table");
        for route in contracts::routes::all() {
            let segments = route.path.split('/').map(|s| if s.ends_with("_id}") { "7" } else { s });
            let path = segments.collect::<Vec<_>>().join("/").replace(['{', '}'], "");
            let method = http::Method::from_bytes(route.method.as_str().as_bytes()).expect("a method");
            assert_eq!(name(&table, &method, &path), route.name, "{path}");
        }
    }

    #[test]
    fn the_same_address_twice_stops_the_start() {
        static TWICE: [Route; 2] = [route("A", Method::Get, "/api/x"), route("B", Method::Get, "/api/x")];
        assert!(Table::new(&TWICE).is_err());
    }
}
