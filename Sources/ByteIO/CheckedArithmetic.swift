/// Arithmetic on numbers that come from a file: nil where the result does not fit.
extension FixedWidthInteger {
  public func adding(_ other: Self) -> Self? {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? nil : sum
  }

  public func multiplied(by other: Self) -> Self? {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? nil : product
  }
}

extension Sequence<Int> {
  /// Product of all elements, 1 of none; nil where it does not fit, whatever the order of a zero.
  public func checkedProduct() -> Int? {
    var product = 1
    var hasZero = false
    for element in self {
      if element == 0 {
        hasZero = true
        continue
      }
      guard let next = product.multiplied(by: element) else { return nil }
      product = next
    }
    return hasZero ? 0 : product
  }
}
