//! The best one-to-one assignment of predicted to reference lesions.

use std::collections::BTreeMap;

/// Pairs, each of one row and one column, whose weights have the greatest sum; no row and no column occurs twice.
///
/// `weights` holds the pairs that are possible, by row and column, each greater than 0. The pairs come by row. Of
/// several best assignments the one found depends on `weights` alone.
pub(crate) fn best_assignment(weights: &BTreeMap<(usize, usize), u64>) -> Vec<(usize, usize)> {
    let mut pairs: Vec<(usize, usize)> =
        blocks(weights).iter().flat_map(|block| assign_block(block, weights)).collect();
    pairs.sort_unstable();
    pairs
}

/// Rows and columns, ascending, that hang together through weights.
struct Block {
    rows: Vec<usize>,
    columns: Vec<usize>,
}

/// Splits the rows and columns into those that have nothing to do with each other.
fn blocks(weights: &BTreeMap<(usize, usize), u64>) -> Vec<Block> {
    let (mut of_row, mut of_column) = (BTreeMap::new(), BTreeMap::new());
    let mut parents: Vec<usize> = Vec::new();
    fn find(parents: &mut [usize], mut node: usize) -> usize {
        while parents[node] != node {
            parents[node] = parents[parents[node]];
            node = parents[node];
        }
        node
    }
    for &(row, column) in weights.keys() {
        let mut node = |nodes: &mut BTreeMap<usize, usize>, key| {
            *nodes.entry(key).or_insert_with(|| {
                parents.push(parents.len());
                parents.len() - 1
            })
        };
        let (a, b) = (node(&mut of_row, row), node(&mut of_column, column));
        let (a, b) = (find(&mut parents, a), find(&mut parents, b));
        parents[a.max(b)] = a.min(b);
    }
    let mut blocks: BTreeMap<usize, Block> = BTreeMap::new();
    let empty = || Block { rows: Vec::new(), columns: Vec::new() };
    for (&row, &node) in &of_row {
        blocks.entry(find(&mut parents, node)).or_insert_with(empty).rows.push(row);
    }
    for (&column, &node) in &of_column {
        blocks.entry(find(&mut parents, node)).or_insert_with(empty).columns.push(column);
    }
    blocks.into_values().collect()
}

/// The best pairs of one block.
fn assign_block(block: &Block, weights: &BTreeMap<(usize, usize), u64>) -> Vec<(usize, usize)> {
    // The search wants no more rows than columns.
    let turned = block.rows.len() > block.columns.len();
    let (short, long) = if turned { (&block.columns, &block.rows) } else { (&block.rows, &block.columns) };
    let key = |s: usize, l: usize| if turned { (long[l], short[s]) } else { (short[s], long[l]) };
    let weight = |s: usize, l: usize| weights.get(&key(s, l)).copied().unwrap_or(0);
    let partners = hungarian(short.len(), long.len(), |s, l| -(weight(s, l) as i64));
    let pairs = partners.into_iter().enumerate().filter(|&(s, l)| weight(s, l) > 0);
    pairs.map(|(s, l)| key(s, l)).collect()
}

/// The column of each row in the cheapest assignment of all `rows`, at most `columns`, to different columns.
///
/// The Hungarian method with potentials, one row after the other along a shortest augmenting path (Kuhn 1955, Munkres
/// 1957), O(rows² · columns).
fn hungarian(rows: usize, columns: usize, cost: impl Fn(usize, usize) -> i64) -> Vec<usize> {
    // Row and column 0 are a start that stands for none; the others are counted from 1.
    let (mut of_row, mut of_column) = (vec![0i64; rows + 1], vec![0i64; columns + 1]);
    let mut row_at = vec![0usize; columns + 1];
    for row in 1..=rows {
        row_at[0] = row;
        let mut slack = vec![i64::MAX; columns + 1];
        let mut before = vec![0usize; columns + 1];
        let mut visited = vec![false; columns + 1];
        let mut column = 0;
        while row_at[column] != 0 {
            visited[column] = true;
            let here = row_at[column];
            let (mut least, mut next) = (i64::MAX, 0);
            for to in (1..=columns).filter(|&to| !visited[to]) {
                let reduced = cost(here - 1, to - 1) - of_row[here] - of_column[to];
                if reduced < slack[to] {
                    (slack[to], before[to]) = (reduced, column);
                }
                if slack[to] < least {
                    (least, next) = (slack[to], to);
                }
            }
            for to in 0..=columns {
                if visited[to] {
                    of_row[row_at[to]] += least;
                    of_column[to] -= least;
                } else {
                    slack[to] = slack[to].saturating_sub(least);
                }
            }
            column = next;
        }
        while column != 0 {
            row_at[column] = row_at[before[column]];
            column = before[column];
        }
    }
    let mut partners = vec![0; rows];
    for column in (1..=columns).filter(|&column| row_at[column] > 0) {
        partners[row_at[column] - 1] = column - 1;
    }
    partners
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The greatest sum, by trying for each row every column that is left.
    fn tried(weights: &BTreeMap<(usize, usize), u64>, row: usize, taken: &mut [bool]) -> u64 {
        if row == 5 {
            return 0;
        }
        let mut best = tried(weights, row + 1, taken);
        for column in 0..taken.len() {
            if let (false, Some(&weight)) = (taken[column], weights.get(&(row, column))) {
                taken[column] = true;
                best = best.max(weight + tried(weights, row + 1, taken));
                taken[column] = false;
            }
        }
        best
    }

    proptest! {
        #[test]
        fn no_other_assignment_shares_more(
            weights in prop::collection::btree_map((0..5usize, 0..6usize), 1..20u64, 0..16),
        ) {
            let pairs = best_assignment(&weights);
            let sum: u64 = pairs.iter().map(|pair| weights[pair]).sum();
            prop_assert_eq!(sum, tried(&weights, 0, &mut [false; 6]));
            let (mut rows, mut columns): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
            columns.sort_unstable();
            rows.dedup();
            columns.dedup();
            prop_assert_eq!((rows.len(), columns.len()), (pairs.len(), pairs.len()));
        }
    }

    #[test]
    fn the_greatest_single_overlap_gives_way_to_a_greater_sum() {
        let weights = BTreeMap::from([((0, 0), 10), ((0, 1), 9), ((1, 0), 2)]);
        assert_eq!(best_assignment(&weights), [(0, 1), (1, 0)]);
        assert_eq!(best_assignment(&BTreeMap::new()), []);
    }
}
