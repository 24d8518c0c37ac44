/// Unicode's general categories as bits of a mask, and the category of each scalar.
struct GeneralCategories: Sendable {
  /// All 30 categories.
  static let all: UInt32 = 1 << 30 - 1

  /// What `\p{NAME}` means for the categories and their groups; nil for other names.
  static func mask(named name: String) -> UInt32? {
    if let index = names.firstIndex(of: name) { return 1 << UInt32(index) }
    // a group is called by the first letter of its categories
    guard name.utf8.count == 1 else { return nil }
    var mask: UInt32 = 0
    for (index, category) in names.enumerated() where category.hasPrefix(name) {
      mask |= 1 << UInt32(index)
    }
    return mask == 0 ? nil : mask
  }

  static func mask(_ names: String...) -> UInt32 {
    names.reduce(0) { $0 | (mask(named: $1) ?? 0) }
  }

  private static let names = [
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi",
    "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn",
  ]

  /// The categories of the first 65,536 scalars, looked up once.
  static let shared = GeneralCategories()

  private let plane: [UInt8]

  private init() {
    plane = (UInt32(0)..<0x10000).map { value in
      UnicodeScalar(value).map(Self.index) ?? 27
    }
  }

  /// The number of the scalar's category, a bit of the masks.
  func category(_ value: UInt32) -> UInt32 {
    if value < 0x10000 { return UInt32(plane[Int(value)]) }
    return UnicodeScalar(value).map { UInt32(Self.index(of: $0)) } ?? 29
  }

  private static func index(of scalar: UnicodeScalar) -> UInt8 {
    switch scalar.properties.generalCategory {
    case .uppercaseLetter: 0
    case .lowercaseLetter: 1
    case .titlecaseLetter: 2
    case .modifierLetter: 3
    case .otherLetter: 4
    case .nonspacingMark: 5
    case .spacingMark: 6
    case .enclosingMark: 7
    case .decimalNumber: 8
    case .letterNumber: 9
    case .otherNumber: 10
    case .connectorPunctuation: 11
    case .dashPunctuation: 12
    case .openPunctuation: 13
    case .closePunctuation: 14
    case .initialPunctuation: 15
    case .finalPunctuation: 16
    case .otherPunctuation: 17
    case .mathSymbol: 18
    case .currencySymbol: 19
    case .modifierSymbol: 20
    case .otherSymbol: 21
    case .spaceSeparator: 22
    case .lineSeparator: 23
    case .paragraphSeparator: 24
    case .control: 25
    case .format: 26
    case .surrogate: 27
    case .privateUse: 28
    case .unassigned: 29
    @unknown default: 29
    }
  }
}
