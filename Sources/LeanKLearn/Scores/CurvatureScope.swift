/// What a channel's curvature is taken of.
public enum CurvatureScope: String, Sendable, Hashable, CaseIterable {
  /// The output of the layer that the channel is in: no derivative crosses a layer.
  case layer
  /// The model's last hidden states: derivatives go back through all layers.
  case model
}
