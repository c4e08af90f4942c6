//! TCP/IP: interfaces, routes, servers.

use super::*;

pub(super) fn network(world: &mut World, partition: &str, command: &Command) -> ClAnswer {
    let address = command.word("INTNETADR").unwrap_or_default();
    let configured = disk_of(world, partition)
        .is_some_and(|d| d.interfaces.iter().any(|i| i.address == address));
    match command.name.as_str() {
        "STRTCP" => {
            let bare = command.word("STRIFC").as_deref() == Some("*NO");
            start_tcp(world, partition, !bare);
            return ClAnswer::done("TCP1A04", "TCP/IP started.");
        }
        "STRTCPIFC" if configured => {
            start_interface(world, partition, &address);
            return ClAnswer::done("TCP1B01", format!("{address} interface started."));
        }
        _ => {}
    }
    let Some(r) = running(world, partition) else {
        return ClAnswer::escape("CPF9999", "Function check.");
    };
    let word = |k: &str| command.word(k).unwrap_or_default();
    match command.name.as_str() {
        "ENDTCP" => {
            r.system.tcp = false;
            r.system.sshd = false;
            r.system.active_interfaces.clear();
            ClAnswer::done("TCP1A05", "ENDTCP is processing.")
        }
        "STRTCPSVR" => {
            r.system.sshd |= word("SERVER") == "*SSHD";
            ClAnswer::done("TCP2A04", "Server started.")
        }
        "ADDTCPIFC" if configured => ClAnswer::escape(
            "TCP1902",
            format!("Internet address {address} already exists."),
        ),
        "ADDTCPIFC" => {
            r.disk.interfaces.push(Interface {
                address: address.clone(),
                netmask: word("SUBNETMASK"),
                line: word("LIND"),
                autostart: word("AUTOSTART") != "*NO",
            });
            ClAnswer::done("TCP1901", format!("{address} added."))
        }
        "ADDTCPRTE" => {
            let route = route_of(command);
            if r.disk.routes.contains(&route) {
                return ClAnswer::escape("TCP1909", "Route already exists.");
            }
            r.disk.routes.push(route);
            ClAnswer::done("TCP1908", "Route added.")
        }
        "RMVTCPRTE" => {
            let route = route_of(command);
            let before = r.disk.routes.len();
            r.disk.routes.retain(|x| x != &route);
            if r.disk.routes.len() == before {
                return ClAnswer::escape("TCP1910", "Route does not exist.");
            }
            ClAnswer::done("TCP1911", "Route removed.")
        }
        _ if !configured => {
            ClAnswer::escape("TCP1B12", format!("{address} interface not defined."))
        }
        "RMVTCPIFC" => {
            r.disk.interfaces.retain(|i| i.address != address);
            r.system.active_interfaces.remove(&address);
            ClAnswer::done("TCP1903", format!("{address} removed."))
        }
        "CHGTCPIFC" => {
            for i in r
                .disk
                .interfaces
                .iter_mut()
                .filter(|i| i.address == address)
            {
                i.autostart = word("AUTOSTART") == "*YES";
            }
            ClAnswer::done("TCP1904", format!("{address} changed."))
        }
        _ => {
            r.system.active_interfaces.remove(&address);
            ClAnswer::done("TCP1B05", format!("{address} interface ended."))
        }
    }
}

fn route_of(command: &Command) -> Route {
    let word = |k: &str| command.word(k).unwrap_or_default();
    Route {
        destination: word("RTEDEST"),
        netmask: word("SUBNETMASK"),
        next_hop: word("NEXTHOP"),
    }
}
