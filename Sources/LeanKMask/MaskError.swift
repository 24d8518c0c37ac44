/// Why a mask value cannot exist.
public struct MaskError: Error, Sendable, CustomStringConvertible {
  /// What kind of rule was broken; equality of errors is equality of codes.
  public struct Code: RawRepresentable, Sendable, Hashable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    public static let geometry = Code(rawValue: "geometry")
    public static let rotaryWidth = Code(rawValue: "rotary_width")
    public static let headCount = Code(rawValue: "head_count")
    public static let headWidth = Code(rawValue: "head_width")
    public static let layerCount = Code(rawValue: "layer_count")
    public static let alignment = Code(rawValue: "alignment")
    public static let scores = Code(rawValue: "scores")
    public static let deployment = Code(rawValue: "deployment")
    public static let provenance = Code(rawValue: "provenance")
  }

  public let code: Code
  public let description: String

  public init(_ code: Code, _ description: String) {
    self.code = code
    self.description = description
  }
}

extension MaskError: Equatable {
  public static func == (left: MaskError, right: MaskError) -> Bool { left.code == right.code }
}
