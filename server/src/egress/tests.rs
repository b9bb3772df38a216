use super::*;

fn parse(url: &str, allow: &[&str]) -> Result<Target, EgressError> {
    let entries: Vec<String> = allow.iter().map(|&entry| entry.to_owned()).collect();
    Target::parse(url, &Allow::parse(&entries).expect("entries"))
}

#[test]
fn every_spelling_of_an_address_inside_is_refused() {
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "017700000001",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "10.0.0.1",
        "0xa000001",
        "100.64.0.1",
        "100.127.255.255",
        "169.254.169.254",
        "0xA9FEA9FE",
        "2852039166",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "192.0.2.7",
        "198.51.100.7",
        "203.0.113.7",
        "198.18.0.1",
        "198.19.255.255",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "192.88.99.1",
        "192.0.0.170",
        "168.63.129.16",
        "１２７．０．０．１",
        "①27.0.0.1",
        "[::]",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::ffff:8.8.8.8]",
        "[::127.0.0.1]",
        "[::ffff:0:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::1]",
        "[2002:7f00:1::]",
        "[2001::1]",
        "[2001:0:7f00:1::]",
        "[2001:db8::1]",
        "[3fff::1]",
        "[fe80::1]",
        "[febf::1]",
        "[fec0::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[ff02::1]",
        "[100::1]",
        "[5f00::1]",
    ] {
        let error = parse(&format!("https://{host}/hook"), &[]).expect_err(host);
        assert!(matches!(error, EgressError::Inside { .. }), "{host}: {error}");
        assert!(error.text().ja.contains("[webhooks] allow"), "{error:?}");
    }
}

#[test]
fn public_addresses_are_spoken_to() {
    for host in [
        "8.8.8.8",
        "1.1.1.1",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "169.253.0.1",
        "192.167.0.1",
        "198.17.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "11.0.0.1",
        "126.0.0.1",
        "128.0.0.1",
        "[2606:4700:4700::1111]",
        "[2001:4860:4860::8888]",
        "[2001:200::1]",
        "[2400::1]",
        "hooks.slack.com",
        "example.org",
    ] {
        assert!(parse(&format!("https://{host}/hook"), &[]).is_ok(), "{host}");
    }
}

#[test]
fn scheme_port_and_user_are_those_of_a_webhook() {
    for (url, allow, expected) in [
        ("https://example.org:8443/a?b=c", &[][..], None),
        ("http://example.org/", &[], Some(EgressError::Scheme)),
        ("ftp://example.org/", &[], Some(EgressError::Scheme)),
        ("file:///etc/passwd", &[], Some(EgressError::Scheme)),
        ("gopher://example.org/", &["example.org"], Some(EgressError::Scheme)),
        ("https://user@example.org/", &[], Some(EgressError::Userinfo)),
        ("https://:secret@example.org/", &[], Some(EgressError::Userinfo)),
        ("https://example.org:22/", &[], Some(EgressError::Port(22, "example.org".to_owned()))),
        ("https://example.org:22/", &["example.org"], Some(EgressError::Port(22, "example.org".to_owned()))),
        ("https://example.org:22/", &["example.org:22"], None),
        ("http://localhost:9000/", &["localhost:9000"], None),
        ("http://localhost:9001/", &["localhost:9000"], Some(EgressError::Scheme)),
        (
            "https://localhost:9001/",
            &["localhost:9000"],
            Some(EgressError::Port(9001, "localhost".to_owned())),
        ),
        ("http://127.0.0.1:9000/", &["127.0.0.1:9000"], None),
        ("http://127.1:9000/", &["127.0.0.1:9000"], None),
        ("http://[::1]:9000/", &["[::1]:9000"], None),
        ("http://receiver.lab/", &["receiver.lab"], None),
        ("http://RECEIVER.lab/", &["receiver.LAB"], None),
        ("http://receiver.lab.evil.example/", &["receiver.lab"], Some(EgressError::Scheme)),
    ] {
        assert_eq!(parse(url, allow).err(), expected, "{url} with {allow:?}");
    }
    assert!(matches!(parse("no url", &[]), Err(EgressError::Url(_))));
}

#[test]
fn only_hosts_stand_in_the_list_of_allowed_ones() {
    for wrong in ["https://example.org", "example.org/path", "a@b", "", "host:port", "*"] {
        let read = Allow::parse(&[wrong.to_owned()]);
        assert!(read.is_err() || wrong == "*", "{wrong}: {read:?}");
    }
    assert!(parse("http://example.org/", &["*"]).is_err(), "a star is no host");
}

#[test]
fn a_name_with_one_address_inside_is_refused_whole() {
    let target = parse("https://two.example/", &[]).expect("a name");
    let of = |addresses: &[&str]| {
        let all: Vec<SocketAddr> = addresses.iter().map(|text| text.parse().expect(text)).collect();
        target.admit(&all)
    };
    assert_eq!(of(&["8.8.8.8:443", "[2606:4700:4700::1111]:443"]), Ok(()));
    let error = of(&["8.8.8.8:443", "169.254.169.254:443"]).expect_err("metadata");
    assert_eq!(
        error.to_string(),
        "two.example is 169.254.169.254, link-local, where clouds keep metadata; only public addresses are spoken to, and hosts in [webhooks] allow"
    );
    assert!(of(&["[::ffff:10.0.0.1]:443"]).is_err());
    let allowed = parse("https://two.example/", &["two.example"]).expect("allowed");
    assert_eq!(allowed.admit(&["10.0.0.1:443".parse().expect("address")]), Ok(()));
}

#[tokio::test]
async fn a_name_is_resolved_before_it_is_spoken_to() {
    let inside = parse("https://localhost/", &[]).expect("a name, as far as its text says");
    let error = inside.client(Duration::from_secs(1)).await.expect_err("loopback");
    assert!(matches!(error, EgressError::Inside { .. }), "{error}");
    let nobody = parse("https://nobody.invalid/", &[]).expect("a name");
    let error = nobody.client(Duration::from_secs(1)).await.expect_err("no such name");
    assert!(matches!(error, EgressError::Name { .. }), "{error}");
    let allowed = parse("http://localhost:9000/", &["localhost:9000"]).expect("allowed");
    assert!(allowed.client(Duration::from_secs(1)).await.is_ok());
}
