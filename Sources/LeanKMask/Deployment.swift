/// What a mask means to attention.
public enum MaskMode: String, Sendable, Hashable, CaseIterable {
  /// Every query and every key uses only M.
  case `static`
  /// Decoded tokens see near keys whole and middle keys through M; the prompt is dense.
  case windowed
}

/// How the mask is meant to be run.
public enum DeploymentHints: Sendable, Hashable {
  case `static`
  case windowed(AttentionWindow)

  public var mode: MaskMode {
    switch self {
    case .static: .static
    case .windowed: .windowed
    }
  }

  public var window: AttentionWindow? {
    switch self {
    case .static: nil
    case .windowed(let window): window
    }
  }
}
