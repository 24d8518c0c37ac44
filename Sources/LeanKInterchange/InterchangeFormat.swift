/// The file formats that masks come from and go to, by the ends of file names.
public enum InterchangeFormat: String, Sendable, Hashable, CaseIterable {
  case safetensors, npy, npz, pth, tsv, json

  /// The format that `path` ends in, `.pt` being another name of `.pth`; nil for others.
  public init?(path: String) {
    guard let dot = path.lastIndex(of: ".") else { return nil }
    let suffix = path[path.index(after: dot)...].lowercased()
    if suffix == "pt" {
      self = .pth
    } else {
      self.init(rawValue: suffix)
    }
  }

  /// Whether one file can hold mask and scores together.
  public var holdsBoth: Bool {
    switch self {
    case .safetensors, .npz, .json: true
    case .npy, .pth, .tsv: false
    }
  }
}
