/// The pickle opcodes that torch and numpy use for tensors under protocols 2 and 3.
///
/// Nothing else is executed: an opcode outside this list ends the reading.
enum PickleOpcode: UInt8 {
  case mark = 0x28  // (
  case emptyTuple = 0x29  // )
  case stop = 0x2E  // .
  case bytes = 0x42  // B
  case shortBytes = 0x43  // C
  case real = 0x47  // G
  case int32 = 0x4A  // J
  case uint8 = 0x4B  // K
  case uint16 = 0x4D  // M
  case none = 0x4E  // N
  case persistentID = 0x51  // Q
  case reduce = 0x52  // R
  case string = 0x58  // X
  case emptyList = 0x5D  // ]
  case append = 0x61  // a
  case build = 0x62  // b
  case global = 0x63  // c
  case appends = 0x65  // e
  case get = 0x68  // h
  case longGet = 0x6A  // j
  case put = 0x71  // q
  case longPut = 0x72  // r
  case setItem = 0x73  // s
  case tuple = 0x74  // t
  case setItems = 0x75  // u
  case emptyDictionary = 0x7D  // }
  case tuple1 = 0x85
  case tuple2 = 0x86
  case tuple3 = 0x87
  case `true` = 0x88
  case `false` = 0x89
  case long1 = 0x8A
  case long4 = 0x8B

  static let proto: UInt8 = 0x80

  /// Names of the opcodes that exist and are refused, for saying which one it was.
  static func refusedName(_ byte: UInt8) -> String? {
    switch byte {
    case 0x30: "POP"
    case 0x31: "POP_MARK"
    case 0x32: "DUP"
    case 0x46: "FLOAT"
    case 0x49: "INT"
    case 0x4C: "LONG"
    case 0x50: "PERSID"
    case 0x53: "STRING"
    case 0x54: "BINSTRING"
    case 0x55: "SHORT_BINSTRING"
    case 0x56: "UNICODE"
    case 0x64: "DICT"
    case 0x67: "GET"
    case 0x69: "INST"
    case 0x6C: "LIST"
    case 0x6F: "OBJ"
    case 0x70: "PUT"
    case 0x81: "NEWOBJ"
    case 0x82: "EXT1"
    case 0x83: "EXT2"
    case 0x84: "EXT4"
    case 0x8C: "SHORT_BINUNICODE"
    case 0x8D: "BINUNICODE8"
    case 0x8E: "BINBYTES8"
    case 0x8F: "EMPTY_SET"
    case 0x90: "ADDITEMS"
    case 0x91: "FROZENSET"
    case 0x92: "NEWOBJ_EX"
    case 0x93: "STACK_GLOBAL"
    case 0x94: "MEMOIZE"
    case 0x95: "FRAME"
    case 0x96: "BYTEARRAY8"
    case 0x97: "NEXT_BUFFER"
    case 0x98: "READONLY_BUFFER"
    default: nil
    }
  }
}
