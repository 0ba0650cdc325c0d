//! How the nodes of one chain stand beside one another.
//!
//! Each node is asked on its own, and what they say is compared: the commit leaf of a block holds the hash of the
//! one before, so two nodes that have the same commit leaf at a height have the same chain up to it. Two that have
//! different ones at one height contradict each other: more than a third of the validators signed both, or one of
//! the nodes lies or is damaged. Either is the end of trust in them, whatever else they answer.
//!
//! A comparison believes each node's word for its own chain; [`crate::audit`] does not.

use std::thread;

use writ_proto::api::Status;
use writ_proto::hash::Digest;

use crate::client::Client;
use crate::error::ClientError;

/// What one node says of itself.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Which node.
    pub node: String,
    /// What it says, or why it says nothing.
    pub status: Result<Status, ClientError>,
}

/// Two nodes that cannot both be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contradiction {
    /// They are of different chains.
    Chains {
        /// The nodes.
        nodes: [String; 2],
        /// The chain of each.
        found: [Digest; 2],
    },
    /// They have different blocks at one height.
    Fork {
        /// The nodes.
        nodes: [String; 2],
        /// The first height at which they differ.
        height: u64,
        /// The commit leaf of each.
        found: [Digest; 2],
    },
    /// They have the same blocks, and tell different logs of them.
    Logs {
        /// The nodes.
        nodes: [String; 2],
        /// The height.
        height: u64,
        /// Size and root of each.
        found: [(u64, String); 2],
    },
}

/// Asks every node of `client` how it stands, all at once, in their order.
pub fn ask(client: &Client) -> Vec<Standing> {
    let nodes: Vec<Client> = client.apart().collect();
    thread::scope(|scope| {
        let asking: Vec<_> = nodes.iter().map(|node| (node, scope.spawn(|| node.status()))).collect();
        let told = asking.into_iter().map(|(node, asked)| Standing {
            node: node.nodes()[0].clone(),
            status: asked.join().expect("asking does not panic"),
        });
        told.collect()
    })
}

/// Compares what the nodes of `client` said. A node that does not answer contradicts nobody.
///
/// # Errors
/// If a node says something about itself that makes no sense.
pub fn compare(client: &Client, standings: &[Standing]) -> Result<Vec<Contradiction>, ClientError> {
    let answered = client.apart().zip(standings);
    let mut answered: Vec<(Client, &Status)> =
        answered.filter_map(|(node, standing)| Some((node, standing.status.as_ref().ok()?))).collect();
    // Each with the next one up: agreement at a height is agreement on all below.
    answered.sort_by_key(|(_, status)| status.height);
    let mut found = Vec::new();
    for pair in answered.windows(2) {
        let [(lower, low), (upper, up)] = pair else { continue };
        let nodes = || [lower, upper].map(|node| node.nodes()[0].clone());
        if low.chain != up.chain {
            found.push(Contradiction::Chains { nodes: nodes(), found: [low.chain, up.chain] });
            continue;
        }
        let height = low.height;
        let at_height = if up.height == height { Ok(up.commit_leaf) } else { leaf_of(upper, height, low.chain) };
        match at_height {
            Ok(leaf) if leaf != low.commit_leaf => {
                let leaves = |height| {
                    Ok::<_, ClientError>([leaf_of(lower, height, low.chain)?, leaf_of(upper, height, up.chain)?])
                };
                let last = (height, [low.commit_leaf, leaf]);
                let (height, leaves) = parting(last, leaves).unwrap_or(last);
                found.push(Contradiction::Fork { nodes: nodes(), height, found: leaves });
            }
            Ok(_) if up.height == height && (low.log_size, &low.log_root) != (up.log_size, &up.log_root) => {
                let logs = [low, up].map(|status| (status.log_size, status.log_root.clone()));
                found.push(Contradiction::Logs { nodes: nodes(), height, found: logs });
            }
            Ok(_) => {}
            // It went away meanwhile.
            Err(error) if error.is_passing() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The commit leaf that a node has at a height, by its own word.
pub(crate) fn leaf_of(node: &Client, height: u64, chain: Digest) -> Result<Digest, ClientError> {
    if height == 0 { Ok(chain) } else { Ok(node.header(height)?.commit_leaf) }
}

/// The first height at which two chains differ that do at `last`, and their leaves there. They begin as one.
pub(crate) fn parting<E>(
    last: (u64, [Digest; 2]),
    mut leaves: impl FnMut(u64) -> Result<[Digest; 2], E>,
) -> Result<(u64, [Digest; 2]), E> {
    let (mut same, mut differ) = (0, last);
    while same + 1 < differ.0 {
        let middle = same + (differ.0 - same) / 2;
        let found = leaves(middle)?;
        if found[0] == found[1] {
            same = middle;
        } else {
            differ = (middle, found);
        }
    }
    Ok(differ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_height_at_which_chains_part_is_found() {
        let leaf = |chain: u8, height: u64| Digest([chain.wrapping_add(height as u8); 32]);
        for (parted, last) in [(1, 1), (1, 2), (2, 2), (1, 100), (50, 100), (99, 100), (100, 100)] {
            let leaves = |height: u64| {
                let other = if height < parted { 0 } else { 100 };
                Ok::<_, ()>([leaf(0, height), leaf(other, height)])
            };
            let found = parting((last, leaves(last).unwrap()), leaves).unwrap();
            assert_eq!(found, (parted, leaves(parted).unwrap()), "{parted} of {last}");
        }
        let broken = parting((9, [leaf(0, 9), leaf(1, 9)]), |_| Err("gone"));
        assert_eq!(broken, Err("gone"));
    }
}
