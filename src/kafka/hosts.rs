//! Whether the names of brokers mean something here.

use std::net::ToSocketAddrs;

/// The hosts of a list of addresses that the system finds no address for, each with its reason.
/// Blocks for as long as the system looks.
pub(super) fn unknown_hosts(servers: &str) -> Vec<(String, String)> {
    let addresses = servers.split(',').map(str::trim).filter(|address| !address.is_empty());
    let mut unknown = Vec::new();
    for address in addresses {
        if let Err(reason) = address.to_socket_addrs() {
            unknown.push((address.to_owned(), reason.to_string()));
        }
    }
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_an_address_is_named_and_others_are_not() {
        let unknown = unknown_hosts("127.0.0.1:9092, no-such-host.invalid:9092,[::1]:9092");
        let hosts: Vec<&str> = unknown.iter().map(|(host, _)| host.as_str()).collect();
        assert_eq!(hosts, ["no-such-host.invalid:9092"]);
    }
}
