/// What a forward pass through one layer keeps for a backward pass, where it is asked to: all that is
/// neither a weight nor a cheap function of what is here. Matrices are [tokens, ...].
struct LayerRecord: Sendable {
  /// The residual stream that enters the layer.
  var input: Matrix?
  /// The normed stream that attention reads, and attention before the output projection.
  var attentionInput: Matrix?
  var attended: Matrix?
  /// After the output projection, where a norm follows.
  var attentionOutput: Matrix?
  /// The residual stream that the feed-forward part reads, and its normed form.
  var middle: Matrix?
  var feedForwardInput: Matrix?
  /// Gate and linear part of a gated feed-forward before they are multiplied; of a plain one its
  /// first product as `gate`. A mixture keeps neither: its experts run again.
  var gate: Matrix?
  var up: Matrix?
  /// What the feed-forward part gave, where a norm follows.
  var feedForwardOutput: Matrix?

  /// What a forward pass has left under `name`.
  func kept(_ name: KeyPath<LayerRecord, Matrix?>) -> Matrix {
    guard let matrix = self[keyPath: name] else {
      preconditionFailure("no forward pass has left \(name)")
    }
    return matrix
  }
}
