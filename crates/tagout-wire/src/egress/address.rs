//! What an address is for, by IANA's registries of special-purpose addresses (IPv4 and IPv6), by
//! the registries of multicast and of the IPv6 address space, and by what clouds document of their
//! metadata services.
//!
//! Pure. Every address has exactly one [`Class`]; what no row is about is public, where its block is
//! given out to anybody at all.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// Anybody's on the internet.
    Public,
    /// Of a network of one's own (RFC 1918).
    Private,
    /// Of a network of one's own, in IPv6 (RFC 4193).
    UniqueLocal,
    /// Behind a carrier's translation, and between containers (RFC 6598).
    Shared,
    /// This machine (RFC 1122, RFC 4291).
    Loopback,
    /// Of the one cable (RFC 3927, RFC 4291), where most metadata services are.
    LinkLocal,
    /// A cloud's metadata service, which gives out keys to whoever asks from inside.
    Metadata,
    /// No address, or "this network" (RFC 1122): many systems take it for themselves.
    Unspecified,
    /// To many at once.
    Multicast,
    /// To all of a network.
    Broadcast,
    /// For measurements (RFC 2544, RFC 5180).
    Benchmarking,
    /// For examples in documents (RFC 5737, RFC 3849, RFC 9637).
    Documentation,
    /// An IPv4 address written as one of IPv6 (RFC 4291): what it reaches is the IPv4 address.
    Mapped,
    /// The same, as it was done before (RFC 4291, RFC 2765).
    Compatible,
    /// Translated to IPv4 by the network (RFC 6052, RFC 8215).
    Nat64,
    /// Carried to IPv4 (RFC 3056, RFC 7526).
    SixToFour,
    /// Carried to IPv4 through translations (RFC 4380).
    Teredo,
    /// Of a site, as it was done before (RFC 3879).
    SiteLocal,
    /// For protocols, or given out to nobody.
    Reserved,
}

/// Who may be sent to an address of a class.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// A name may lead there.
    Open,
    /// Only where somebody has named this very address, or has said that private ones are meant.
    Named,
    /// Nobody.
    Never,
}

impl Class {
    /// The class of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(four) => of_four(four),
            IpAddr::V6(six) => of_six(six),
        }
    }

    /// Who may be sent there.
    #[must_use]
    pub const fn standing(self) -> Standing {
        match self {
            Self::Public => Standing::Open,
            Self::Private
            | Self::UniqueLocal
            | Self::Shared
            | Self::Loopback
            | Self::Benchmarking
            | Self::Documentation => Standing::Named,
            Self::LinkLocal
            | Self::Metadata
            | Self::Unspecified
            | Self::Multicast
            | Self::Broadcast
            | Self::Mapped
            | Self::Compatible
            | Self::Nat64
            | Self::SixToFour
            | Self::Teredo
            | Self::SiteLocal
            | Self::Reserved => Standing::Never,
        }
    }

    /// For records and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::UniqueLocal => "unique local",
            Self::Shared => "shared",
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::Metadata => "metadata",
            Self::Unspecified => "unspecified",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Benchmarking => "benchmarking",
            Self::Documentation => "documentation",
            Self::Mapped => "IPv4-mapped",
            Self::Compatible => "IPv4-compatible",
            Self::Nat64 => "NAT64",
            Self::SixToFour => "6to4",
            Self::Teredo => "Teredo",
            Self::SiteLocal => "site-local",
            Self::Reserved => "reserved",
        }
    }
}

/// Blocks of IPv4, the narrower first.
const FOUR: &[([u8; 4], u8, Class)] = &[
    // What clouds document: AWS, GCP, Azure, OpenStack and many others (.254), ECS and EKS (170.x),
    // time (169.123), Alibaba, Azure's wire server, Oracle.
    ([169, 254, 169, 254], 32, Class::Metadata),
    ([169, 254, 170, 2], 32, Class::Metadata),
    ([169, 254, 170, 23], 32, Class::Metadata),
    ([169, 254, 169, 123], 32, Class::Metadata),
    ([100, 100, 100, 200], 32, Class::Metadata),
    ([168, 63, 129, 16], 32, Class::Metadata),
    ([192, 0, 0, 192], 32, Class::Metadata),
    // IANA: IPv4 special-purpose address registry.
    ([0, 0, 0, 0], 8, Class::Unspecified),
    ([10, 0, 0, 0], 8, Class::Private),
    ([100, 64, 0, 0], 10, Class::Shared),
    ([127, 0, 0, 0], 8, Class::Loopback),
    ([169, 254, 0, 0], 16, Class::LinkLocal),
    ([172, 16, 0, 0], 12, Class::Private),
    ([192, 0, 0, 0], 24, Class::Reserved),
    ([192, 0, 2, 0], 24, Class::Documentation),
    ([192, 31, 196, 0], 24, Class::Reserved),
    ([192, 52, 193, 0], 24, Class::Reserved),
    ([192, 88, 99, 0], 24, Class::SixToFour),
    ([192, 168, 0, 0], 16, Class::Private),
    ([192, 175, 48, 0], 24, Class::Reserved),
    ([198, 18, 0, 0], 15, Class::Benchmarking),
    ([198, 51, 100, 0], 24, Class::Documentation),
    ([203, 0, 113, 0], 24, Class::Documentation),
    ([224, 0, 0, 0], 4, Class::Multicast),
    ([255, 255, 255, 255], 32, Class::Broadcast),
    ([240, 0, 0, 0], 4, Class::Reserved),
];

/// Blocks of IPv6, the narrower first. Only 2000::/3 is given out; the rest is nobody's.
const SIX: &[([u16; 8], u8, Class)] = &[
    // What clouds document: AWS, EKS, GCP, Scaleway.
    ([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254], 128, Class::Metadata),
    ([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x23], 128, Class::Metadata),
    ([0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254], 128, Class::Metadata),
    ([0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x42], 128, Class::Metadata),
    ([0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128, Class::Metadata),
    // IANA: IPv6 special-purpose address registry.
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, Class::Loopback),
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, Class::Unspecified),
    ([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, Class::Mapped),
    ([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, Class::Compatible),
    ([0, 0, 0, 0, 0, 0, 0, 0], 96, Class::Compatible),
    ([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, Class::Nat64),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, Class::Nat64),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 64, Class::Reserved),
    ([0x100, 0, 0, 1, 0, 0, 0, 0], 64, Class::Reserved),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, Class::Teredo),
    ([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, Class::Benchmarking),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, Class::Reserved),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, Class::Documentation),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, Class::SixToFour),
    ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, Class::Reserved),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Class::Documentation),
    ([0x5f00, 0, 0, 0, 0, 0, 0, 0], 16, Class::Reserved),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Class::UniqueLocal),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, Class::LinkLocal),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, Class::SiteLocal),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, Class::Multicast),
    // IANA: IPv6 address space.
    ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3, Class::Public),
];

fn of_four(address: Ipv4Addr) -> Class {
    let bits = u32::from(address);
    let within = |block: [u8; 4], length: u8| {
        let rest = 32u32.saturating_sub(u32::from(length));
        let block = u32::from(Ipv4Addr::from(block));
        bits.checked_shr(rest) == block.checked_shr(rest)
    };
    let row = FOUR.iter().find(|(block, length, _)| within(*block, *length));
    row.map_or(Class::Public, |(_, _, class)| *class)
}

fn of_six(address: Ipv6Addr) -> Class {
    let bits = u128::from(address);
    let within = |block: [u16; 8], length: u8| {
        let rest = 128u32.saturating_sub(u32::from(length));
        let block = u128::from(Ipv6Addr::from(block));
        bits.checked_shr(rest) == block.checked_shr(rest)
    };
    let row = SIX.iter().find(|(block, length, _)| within(*block, *length));
    row.map_or(Class::Reserved, |(_, _, class)| *class)
}
