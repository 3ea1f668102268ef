use super::*;

fn policy(allow: &str) -> Policy {
    Policy::new(allow, &[]).expect("a list that reads")
}

#[test]
fn hostile_urls_are_refused() {
    let table: &[(&str, UrlError)] = &[
        ("", UrlError::Malformed),
        ("not a url", UrlError::Malformed),
        ("//example.com/", UrlError::Malformed),
        ("http://", UrlError::Malformed),
        ("http://[::1", UrlError::Malformed),
        ("http://256.1.1.1/", UrlError::Malformed),
        ("http://exa mple.com/", UrlError::Malformed),
        ("http://example.com:99999/", UrlError::Malformed),
        ("ftp://example.com/", UrlError::Scheme),
        ("file:///etc/passwd", UrlError::Scheme),
        ("gopher://127.0.0.1:6379/_FLUSHALL", UrlError::Scheme),
        ("javascript:alert(1)", UrlError::Scheme),
        ("data:text/html,x", UrlError::Scheme),
        ("unix:/var/run/docker.sock", UrlError::Scheme),
        ("http://user@example.com/", UrlError::Credentials),
        ("http://user:pass@example.com/", UrlError::Credentials),
        ("http://:pass@example.com/", UrlError::Credentials),
        ("http://example.com@127.0.0.1/", UrlError::Credentials),
        ("http://127.0.0.1/", UrlError::Address),
        ("http://127.1/", UrlError::Address),
        ("http://127.255.255.254:8080/", UrlError::Address),
        ("http://0/", UrlError::Address),
        ("http://0.0.0.0/", UrlError::Address),
        // Decimal, octal, hexadecimal, full-width and mixed forms of 127.0.0.1.
        ("http://2130706433/", UrlError::Address),
        ("http://017700000001/", UrlError::Address),
        ("http://0x7f000001/", UrlError::Address),
        ("http://0x7f.1/", UrlError::Address),
        ("http://0177.0.0.1/", UrlError::Address),
        ("http://１２７.０.０.１/", UrlError::Address),
        ("http://127。0。0。1/", UrlError::Address),
        ("http://127.0.0.1./", UrlError::Address),
        ("http://%31%32%37.0.0.1/", UrlError::Address),
        ("http:\\\\127.0.0.1\\", UrlError::Address),
        ("http:127.0.0.1", UrlError::Address),
        ("HTTP://127.0.0.1", UrlError::Address),
        // Private, shared, link-local, metadata.
        ("http://10.1.2.3/", UrlError::Address),
        ("http://172.16.0.1/", UrlError::Address),
        ("http://172.31.255.255/", UrlError::Address),
        ("http://192.168.1.1/", UrlError::Address),
        ("http://100.64.0.1/", UrlError::Address),
        ("http://100.100.100.200/latest/meta-data", UrlError::Address),
        ("http://169.254.169.254/latest/meta-data", UrlError::Address),
        ("http://2852039166/", UrlError::Address),
        ("http://198.18.0.1/", UrlError::Address),
        // Documentation, protocol, multicast, reserved, broadcast.
        ("http://192.0.2.1/", UrlError::Address),
        ("http://198.51.100.1/", UrlError::Address),
        ("http://203.0.113.1/", UrlError::Address),
        ("http://192.0.0.8/", UrlError::Address),
        ("http://192.88.99.1/", UrlError::Address),
        ("http://224.0.0.1/", UrlError::Address),
        ("http://240.0.0.1/", UrlError::Address),
        ("http://255.255.255.255/", UrlError::Address),
        // IPv6.
        ("http://[::]/", UrlError::Address),
        ("http://[::1]/", UrlError::Address),
        ("http://[0:0:0:0:0:0:0:1]/", UrlError::Address),
        ("http://[::127.0.0.1]/", UrlError::Address),
        ("http://[::ffff:127.0.0.1]/", UrlError::Address),
        ("http://[::ffff:7f00:1]/", UrlError::Address),
        ("http://[::ffff:8.8.8.8]/", UrlError::Address),
        ("http://[::ffff:0:127.0.0.1]/", UrlError::Address),
        ("http://[64:ff9b::7f00:1]/", UrlError::Address),
        ("http://[64:ff9b:1::1]/", UrlError::Address),
        ("http://[2002:7f00:1::]/", UrlError::Address),
        ("http://[2001::1]/", UrlError::Address),
        ("http://[2001:0:53aa:64c:0:7fff:80ff:fffe]/", UrlError::Address),
        ("http://[2001:db8::1]/", UrlError::Address),
        ("http://[3fff::1]/", UrlError::Address),
        ("http://[fe80::1]/", UrlError::Address),
        ("http://[fec0::1]/", UrlError::Address),
        ("http://[fc00::1]/", UrlError::Address),
        ("http://[fd00:ec2::254]/", UrlError::Address),
        ("http://[ff02::1]/", UrlError::Address),
        ("http://[100::1]/", UrlError::Address),
        ("http://[5f00::1]/", UrlError::Address),
        ("http://[4000::1]/", UrlError::Address),
    ];
    for (url, expected) in table {
        assert_eq!(policy("").check_url(url).map(|(_, door)| door), Err(expected.clone()), "{url}");
    }
}

#[test]
fn public_addresses_and_names_pass() {
    let urls = [
        "http://example.com/",
        "https://例子.测试/回调?a=1",
        "https://8.8.8.8:8443/cb",
        "http://[2606:4700::1111]/",
        "http://172.32.0.1/",
        "http://100.128.0.1/",
        // A name is judged when it has been resolved.
        "http://localhost/",
        "http://metadata.google.internal/",
    ];
    for url in urls {
        assert_eq!(policy("").check_url(url).map(|(_, door)| door), Ok(Door::Guarded), "{url}");
    }
}

#[test]
fn a_cidr_opens_private_networks_and_nothing_else() {
    let open = policy("10.0.0.0/8, fd00::/8, 0.0.0.0/0, ::/0");
    for url in ["http://10.1.2.3/", "http://192.168.0.1/", "http://[fd00::5]/"] {
        assert_eq!(open.check_url(url).map(|(_, door)| door), Ok(Door::Guarded), "{url}");
    }
    let closed = [
        "http://127.0.0.1/",
        "http://169.254.169.254/",
        "http://100.100.100.200/",
        "http://[fd00:ec2::254]/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://224.0.0.1/",
    ];
    for url in closed {
        assert_eq!(open.check_url(url).map(|(_, door)| door), Err(UrlError::Address), "{url}");
    }
    assert_eq!(policy("10.1.0.0/16").check_url("http://10.2.0.1/").map(|_| ()), Err(UrlError::Address));
}

#[test]
fn an_exact_host_and_port_opens_itself_alone() {
    let named = policy("127.0.0.1:9000,localhost:9001,[::1]:9002,Inbox.Local:80");
    for url in [
        "http://127.0.0.1:9000/x",
        "http://2130706433:9000/",
        "http://LOCALHOST:9001/",
        "http://[::1]:9002/",
        "http://inbox.local/",
    ] {
        assert_eq!(named.check_url(url).map(|(_, door)| door), Ok(Door::Named), "{url}");
    }
    assert_eq!(named.check_url("http://127.0.0.1:9001/").map(|_| ()), Err(UrlError::Address));
    assert_eq!(named.check_url("http://127.0.0.2:9000/").map(|_| ()), Err(UrlError::Address));
    // Another port of a named host goes through the guard.
    assert_eq!(named.check_url("http://localhost:9000/").map(|(_, door)| door), Ok(Door::Guarded));
}

#[test]
fn only_listed_ports_are_open() {
    let policy = Policy::new("127.0.0.1:9000", &[80, 443]).expect("a list that reads");
    assert!(
        policy.check_url("http://example.com/").is_ok() && policy.check_url("https://example.com/").is_ok()
    );
    assert_eq!(policy.check_url("http://example.com:6379/").map(|_| ()), Err(UrlError::Port(6379)));
    assert_eq!(policy.check_url("http://127.0.0.1:9000/").map(|(_, door)| door), Ok(Door::Named));
}

#[test]
fn a_setting_that_is_neither_form_is_named() {
    for bad in ["10.0.0.0/33", "localhost", "host:port", "http://a:1", "a:1/x", "a@b:1", "a:99999"] {
        let error = Policy::new(bad, &[]).expect_err(bad);
        assert!(error.contains(bad), "{error}");
    }
    assert!(Policy::new(" , ,", &[]).is_ok());
}

struct Answers(&'static [&'static str]);

impl Resolve for Answers {
    fn resolve(&self, _: Name) -> Resolving {
        let found: Vec<SocketAddr> =
            self.0.iter().map(|ip| SocketAddr::new(ip.parse().expect("an address"), 0)).collect();
        Box::pin(async move {
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

#[tokio::test]
async fn the_resolver_hands_on_only_what_may_be_dialled() {
    let ask = async |answers| {
        let guarded = GuardedResolver::new(Arc::new(policy("")), Arc::new(Answers(answers)));
        let found = guarded.resolve("rebind.example".parse().expect("a name")).await;
        found.map(|found| found.map(|a| a.ip().to_string()).collect::<Vec<_>>())
    };
    // Public first, loopback second: only the first is ever dialled.
    assert_eq!(ask(&["8.8.8.8", "127.0.0.1"]).await.expect("one is left"), ["8.8.8.8"]);
    for inside in [
        &["127.0.0.1"][..],
        &["169.254.169.254", "::1"],
        &["::ffff:10.0.0.1"],
        &["fd00:ec2::254"],
        &["64:ff9b::a00:1"],
        &[],
    ] {
        let error = ask(inside).await.expect_err("nothing is left");
        assert!(error.to_string().contains("may not reach"), "{error}");
    }
}
