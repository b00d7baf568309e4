//! Addresses, hosts and lists, as tables.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use tagout_wire::egress::{Allow, AllowError, Class, Host, HostError, Permit, Standing};

/// Both ends of each block, and what stands beside them.
const ADDRESSES: &[(&str, Class)] = &[
    ("1.1.1.1", Class::Public),
    ("8.8.8.8", Class::Public),
    ("9.255.255.255", Class::Public),
    ("11.0.0.0", Class::Public),
    ("100.63.255.255", Class::Public),
    ("100.128.0.0", Class::Public),
    ("126.255.255.255", Class::Public),
    ("128.0.0.0", Class::Public),
    ("169.253.255.255", Class::Public),
    ("169.255.0.0", Class::Public),
    ("172.15.255.255", Class::Public),
    ("172.32.0.0", Class::Public),
    ("192.167.255.255", Class::Public),
    ("192.169.0.0", Class::Public),
    ("192.0.1.0", Class::Public),
    ("198.17.255.255", Class::Public),
    ("198.20.0.0", Class::Public),
    ("223.255.255.255", Class::Public),
    ("168.63.129.15", Class::Public),
    ("10.0.0.0", Class::Private),
    ("10.255.255.255", Class::Private),
    ("172.16.0.0", Class::Private),
    ("172.31.255.255", Class::Private),
    ("192.168.0.0", Class::Private),
    ("192.168.255.255", Class::Private),
    ("100.64.0.0", Class::Shared),
    ("100.127.255.255", Class::Shared),
    ("127.0.0.1", Class::Loopback),
    ("127.255.255.255", Class::Loopback),
    ("169.254.0.0", Class::LinkLocal),
    ("169.254.255.255", Class::LinkLocal),
    ("169.254.169.254", Class::Metadata),
    ("169.254.170.2", Class::Metadata),
    ("169.254.170.23", Class::Metadata),
    ("100.100.100.200", Class::Metadata),
    ("168.63.129.16", Class::Metadata),
    ("192.0.0.192", Class::Metadata),
    ("0.0.0.0", Class::Unspecified),
    ("0.1.2.3", Class::Unspecified),
    ("192.0.0.1", Class::Reserved),
    ("192.0.0.170", Class::Reserved),
    ("192.0.2.1", Class::Documentation),
    ("198.51.100.255", Class::Documentation),
    ("203.0.113.0", Class::Documentation),
    ("192.88.99.1", Class::SixToFour),
    ("192.31.196.1", Class::Reserved),
    ("192.52.193.1", Class::Reserved),
    ("192.175.48.1", Class::Reserved),
    ("198.18.0.0", Class::Benchmarking),
    ("198.19.255.255", Class::Benchmarking),
    ("224.0.0.1", Class::Multicast),
    ("239.255.255.255", Class::Multicast),
    ("240.0.0.0", Class::Reserved),
    ("255.255.255.254", Class::Reserved),
    ("255.255.255.255", Class::Broadcast),
    ("2606:4700::1111", Class::Public),
    ("2001:4860:4860::8888", Class::Public),
    ("2001:200::", Class::Public),
    ("2003::", Class::Public),
    ("2600:1f00::254", Class::Public),
    ("3ffe:ffff::", Class::Public),
    ("::", Class::Unspecified),
    ("::1", Class::Loopback),
    ("::2", Class::Compatible),
    ("::127.0.0.1", Class::Compatible),
    ("::ffff:0:127.0.0.1", Class::Compatible),
    ("::ffff:127.0.0.1", Class::Mapped),
    ("::ffff:8.8.8.8", Class::Mapped),
    ("::ffff:a9fe:a9fe", Class::Mapped),
    ("64:ff9b::169.254.169.254", Class::Nat64),
    ("64:ff9b::8.8.8.8", Class::Nat64),
    ("64:ff9b:1::1", Class::Nat64),
    ("64:ff9b:1:ffff::10.0.0.1", Class::Nat64),
    ("64:ff9b:2::1", Class::Reserved),
    ("100::1", Class::Reserved),
    ("100:0:0:1::1", Class::Reserved),
    ("2001::1", Class::Teredo),
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Class::Teredo),
    ("2001:2::1", Class::Benchmarking),
    ("2001:10::1", Class::Reserved),
    ("2001:20::1", Class::Reserved),
    ("2001:1ff:ffff::1", Class::Reserved),
    ("2001:db8::1", Class::Documentation),
    ("3fff::1", Class::Documentation),
    ("3fff:fff::1", Class::Documentation),
    ("2002:7f00:1::", Class::SixToFour),
    ("2002:a9fe:a9fe::1", Class::SixToFour),
    ("2620:4f:8000::1", Class::Reserved),
    ("5f00::1", Class::Reserved),
    ("4000::1", Class::Reserved),
    ("fc00::1", Class::UniqueLocal),
    ("fdff:ffff::1", Class::UniqueLocal),
    ("fd00:ec2::254", Class::Metadata),
    ("fd00:ec2::23", Class::Metadata),
    ("fd20:ce::254", Class::Metadata),
    ("fd00:42::42", Class::Metadata),
    ("fd00:ec2::253", Class::UniqueLocal),
    ("fe80::1", Class::LinkLocal),
    ("fe80::a9fe:a9fe", Class::Metadata),
    ("febf::1", Class::LinkLocal),
    ("fec0::1", Class::SiteLocal),
    ("feff::1", Class::SiteLocal),
    ("ff02::1", Class::Multicast),
    ("fe00::1", Class::Reserved),
];

#[test]
fn every_kind_of_address_is_known() {
    for (address, class) in ADDRESSES {
        assert_eq!(Class::of(address.parse().unwrap()), *class, "{address}");
    }
}

#[test]
fn who_may_be_sent_where() {
    use Class as C;
    for class in [C::Private, C::UniqueLocal, C::Shared, C::Loopback] {
        assert_eq!(class.standing(), Standing::Named, "{class:?}");
    }
    for class in [
        C::LinkLocal,
        C::Metadata,
        C::Unspecified,
        C::Multicast,
        C::Broadcast,
        C::Mapped,
        C::Compatible,
        C::Nat64,
        C::SixToFour,
        C::Teredo,
        C::SiteLocal,
        C::Reserved,
    ] {
        assert_eq!(class.standing(), Standing::Never, "{class:?}");
    }
    assert_eq!(C::Public.standing(), Standing::Open);
}

proptest! {
    /// The standard library's own, smaller tables agree where they say anything.
    #[test]
    fn the_library_agrees_on_four(bits: u32) {
        let four = Ipv4Addr::from(bits);
        let open = Class::of(four.into()) == Class::Public;
        let other = four.is_private() || four.is_loopback() || four.is_link_local()
            || four.is_multicast() || four.is_broadcast() || four.is_documentation()
            || four.is_unspecified();
        prop_assert!(!(open && other), "{four}");
    }

    /// However an IPv4 address is put into one of IPv6, it is never public.
    #[test]
    fn no_disguise_is_public(bits: u32) {
        let [a, b] = [(bits >> 16) as u16, bits as u16];
        for six in [
            [0, 0, 0, 0, 0, 0xffff, a, b],
            [0, 0, 0, 0, 0, 0, a, b],
            [0, 0, 0, 0, 0xffff, 0, a, b],
            [0x64, 0xff9b, 0, 0, 0, 0, a, b],
            [0x64, 0xff9b, 1, 0, 0, 0, a, b],
            [0x2002, a, b, 0, 0, 0, 0, 1],
            [0x2001, 0, a, b, 0, 0, !a, !b],
        ] {
            let six = Ipv6Addr::from(six);
            prop_assert_ne!(Class::of(IpAddr::V6(six)).standing(), Standing::Open, "{}", six);
        }
    }

    /// What is read as a host is read from its own text again, and no reader of addresses that is
    /// more lenient takes a name for an address.
    #[test]
    fn hosts_come_back(text in "[a-zA-Z0-9._:x%\\[\\]-]{0,40}") {
        if let Ok(host) = Host::parse(&text) {
            prop_assert_eq!(Host::parse(&host.to_string()), Ok(host.clone()));
            if let Host::Name(name) = &host {
                let last = name.rsplit('.').next().unwrap();
                prop_assert!(last.parse::<u64>().is_err());
                prop_assert!(!last.starts_with("0x") || last.contains(|c: char| !c.is_ascii_hexdigit() && c != 'x'));
            }
        }
    }
}

#[test]
fn hosts_are_read_strictly() {
    let name = |text: &str| Ok(Host::Name(text.to_owned()));
    let address = |text: &str| Ok(Host::Address(text.parse().unwrap()));
    let long = format!("{}.example", "a".repeat(64));
    let longer = format!("{}example", "abc.".repeat(63));
    for (text, host) in [
        ("example.com", name("example.com")),
        ("EXAMPLE.Com", name("example.com")),
        ("a_b.example", name("a_b.example")),
        ("xn--bcher-kva.example", name("xn--bcher-kva.example")),
        ("localhost", name("localhost")),
        ("127.0.0.1", address("127.0.0.1")),
        ("[::1]", address("::1")),
        ("[::FFFF:127.0.0.1]", address("::ffff:127.0.0.1")),
        ("1.2.3.4.example", name("1.2.3.4.example")),
        ("127.1", Err(HostError::OddNumber)),
        ("127.0.1", Err(HostError::OddNumber)),
        ("0x7f.1", Err(HostError::OddNumber)),
        ("0x7f.0.0.1", Err(HostError::OddNumber)),
        ("127.0.0.0x1", Err(HostError::OddNumber)),
        ("2130706433", Err(HostError::OddNumber)),
        ("017700000001", Err(HostError::OddNumber)),
        ("0177.0.0.1", Err(HostError::OddNumber)),
        ("127.0.0.01", Err(HostError::OddNumber)),
        ("0", Err(HostError::OddNumber)),
        ("0x", Err(HostError::OddNumber)),
        ("0xA9FEA9FE", Err(HostError::OddNumber)),
        ("1.2.3.4.5", Err(HostError::OddNumber)),
        ("256.1.1.1", Err(HostError::OddNumber)),
        ("example.1", Err(HostError::OddNumber)),
        ("127.0.0.1.", Err(HostError::Dots)),
        ("example.com.", Err(HostError::Dots)),
        (".example.com", Err(HostError::Dots)),
        ("a..b", Err(HostError::Dots)),
        (".", Err(HostError::Dots)),
        ("", Err(HostError::Empty)),
        ("::1", Err(HostError::Bare)),
        ("[::1", Err(HostError::NotSix)),
        ("[127.0.0.1]", Err(HostError::NotSix)),
        ("[fe80::1%eth0]", Err(HostError::NotSix)),
        ("[fe80::1%25eth0]", Err(HostError::NotSix)),
        ("[::1]x", Err(HostError::NotSix)),
        ("b\u{fc}cher.example", Err(HostError::Character)),
        ("127\u{3002}0\u{3002}0\u{3002}1", Err(HostError::Character)),
        ("\u{2460}27.0.0.1", Err(HostError::Character)),
        ("a b", Err(HostError::Character)),
        ("a%2eb", Err(HostError::Character)),
        ("ann@example.com", Err(HostError::Character)),
        ("127.0.0.1%2523", Err(HostError::Character)),
        ("a\0b", Err(HostError::Character)),
        (&long, Err(HostError::TooLong)),
        (&longer, Err(HostError::TooLong)),
    ] {
        assert_eq!(Host::parse(text), host, "{text:?}");
    }
}

#[test]
fn lists_say_what_they_say() {
    let list = [
        "api.example.com:443",
        "*.Example.org:443",
        "10.1.2.3:5432",
        "[fd00::7]:80",
        "localhost:8080",
        "*:8443",
    ];
    let allow = Allow::parse(list).unwrap();
    let (public, named) = (Some(Permit::Public), Some(Permit::Named));
    for (host, port, permit) in [
        ("api.example.com", 443, public),
        ("API.example.COM", 443, public),
        ("api.example.com", 80, None),
        ("xapi.example.com", 443, None),
        ("a.api.example.com", 443, None),
        ("api.example.com.evil.example", 443, None),
        ("a.example.org", 443, public),
        ("a.b.example.org", 443, public),
        ("example.org", 443, None),
        ("evilexample.org", 443, None),
        ("10.1.2.3", 5432, named),
        ("10.1.2.3", 443, None),
        ("10.1.2.4", 5432, None),
        ("[fd00::7]", 80, named),
        ("[fd00:0:0::7]", 80, named),
        ("localhost", 8080, named),
        ("127.0.0.1", 8080, None),
        ("anything.example", 8443, public),
        ("10.1.2.3", 8443, public),
        ("localhost", 8443, public),
    ] {
        let parsed = Host::parse(host).unwrap();
        assert_eq!(allow.permits(&parsed, port), permit, "{host}:{port}");
    }
    assert_eq!(Allow::parse([allow.to_string().split(", ").next().unwrap()]).map(drop), Ok(()));
    assert_eq!(Allow::parse(allow.to_string().split(", ")), Ok(allow));
    assert_eq!(Allow::default().permits(&Host::parse("a.example").unwrap(), 443), None);
}

#[test]
fn what_is_wrong_with_a_list_is_said() {
    for (entry, problem) in [
        ("example.com", "write `HOST:PORT`"),
        ("example.com:", "write `HOST:PORT`"),
        ("example.com:0", "write `HOST:PORT`"),
        ("example.com:+443", "write `HOST:PORT`"),
        ("example.com:0443", "write `HOST:PORT`"),
        ("example.com:70000", "write `HOST:PORT`"),
        ("example.com:https", "write `HOST:PORT`"),
        ("::1:80", "write `HOST:PORT`"),
        ("https://example.com:443", "is a URL"),
        ("example.com:443/path", "is a URL"),
        ("ann@example.com:443", "is a URL"),
        ("*example.com:443", "a star stands"),
        ("a.*.example.com:443", "a star stands"),
        ("*.*.example.com:443", "names of ASCII"),
        ("*.10.0.0.1:443", "a star stands"),
        ("*.:443", "names no host"),
        (":443", "names no host"),
        ("127.1:80", "in decimal"),
        ("b\u{fc}cher.example:443", "xn--"),
        ("169.254.169.254:80", "a metadata address"),
        ("[::ffff:10.0.0.1]:80", "an IPv4-mapped address"),
        ("0.0.0.0:80", "a unspecified address"),
        ("[fe80::1]:80", "a link-local address"),
    ] {
        let error = Allow::parse([entry]).expect_err(entry).to_string();
        // Articles do not matter here.
        let plain = |text: &str| text.replace("an ", "a ").replace("names of", "");
        let wanted = if problem == "names of ASCII" { "a name has letters" } else { problem };
        assert!(plain(&error).contains(&plain(wanted)), "{entry}: {error}");
    }
    let many = vec!["a.example:1"; Allow::MOST + 1];
    assert_eq!(Allow::parse(many), Err(AllowError::TooMany { most: Allow::MOST }));
}
