//! What several orders have in common.

use api::OrderRequest;
use model::OperationId;

use super::Site;
use super::answer::Refusal;

/// An order to an operation that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Stop until it is resumed.
    Pause,
    /// Go on.
    Resume,
    /// Stop for good.
    Abort,
}

impl Site {
    /// Gives an order to an operation. Stopping does not wait for a disk.
    pub(super) async fn give(
        &self,
        operation: OperationId,
        order: Order,
        request: OrderRequest,
    ) -> Result<(), Refusal> {
        let by = by_or_api(request.by);
        let words = request.reason;
        let give = move |engine: &mut engine::Engine, now| match order {
            Order::Pause => engine.pause(operation, &by, &words, now),
            Order::Resume => engine.resume(operation, &by, &words, now),
            Order::Abort => engine.abort(operation, &by, &words, now),
        };
        let given = match order {
            Order::Pause | Order::Abort => self.handle.order_stop(give).await?,
            Order::Resume => self.handle.order(give).await?,
        };
        Ok(given?)
    }
}

/// Who gives an order, as they say.
pub(super) fn by_or_api(by: Option<String>) -> String {
    by.filter(|by| !by.is_empty()).unwrap_or_else(|| "api".to_owned())
}
