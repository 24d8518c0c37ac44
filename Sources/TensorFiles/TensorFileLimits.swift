/// How much a reader of whole tensor files accepts before it refuses with a limit error.
///
/// Each is checked before anything of that size is allocated.
public struct TensorFileLimits: Sendable, Hashable {
  /// Elements of one array, a stride of 0 counted at its logical size.
  public var elements = 1 << 28
  /// Bytes of one array.
  public var arrayBytes = 1 << 30
  /// Bytes that a file may grow by when it is read: deflated members, expanded and shared views.
  ///
  /// What makes a small file a large one is bounded apart from honest size, so that a refused file
  /// never costs more memory than its own size and this.
  public var expansion = 16 << 20
  public var rank = 64
  public var dimension = 1 << 48
  public var npyHeader = 10_000
  /// Bytes of the JSON of a safetensors file that is in memory whole.
  public var safetensorsHeader = 8 << 20
  public var zipMembers = 10_000
  public var zipName = 4096
  /// Tensors and arrays of a pickle; calls and references to storages may be four times as many.
  public var tensors = 10_000
  /// Bytes of the path to a tensor in a pickle.
  public var tensorName = 1024
  public var pickleBytes = 16 << 20
  public var pickleOpcodes = 5_000_000
  /// Values on the stack, in the memo and inside containers, all together: 16 bytes of memory each.
  public var pickleValues = 500_000
  public var pickleContainers = 125_000
  public var pickleMarks = 10_000
  public var pickleDepth = 64
  public var pickleString = 1 << 16
  public var tableRows = 4096
  public var tableColumns = 16_384
  public var tableLine = 1 << 20
  public var tableToken = 64

  public init() {}

  public static let standard = TensorFileLimits()
}
