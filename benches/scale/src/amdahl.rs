//! What the locks of the two sides allow at most, whatever the lines cost.

use crate::lines::Costs;
use crate::ring::Side;
use crate::shape::Shape;

/// Messages a microsecond that the two locks allow, whatever lines cost: calls of one side follow one
/// another in each lane, and each caller's own work follows its calls (Amdahl).
pub fn bound(shape: &Shape, costs: &Costs, each_side: usize) -> f64 {
    let of = |side| {
        let (inside, outside) = shape.least(side, costs.atomic);
        let serial = inside as f64 / shape.lanes.min(each_side) as f64;
        1e6 / serial.max((inside + outside) as f64 / each_side as f64)
    };
    of(Side::Put).min(of(Side::Get))
}
