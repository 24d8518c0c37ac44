extension QKVProjection {
  /// Derivative by `input`, [rows, hidden], from those by the queries, keys and values that `forward`
  /// made of it. Row r of the derivatives belongs to row `r mod input.rows` of the input.
  func backward(
    query toQuery: Matrix, key toKey: Matrix, value toValue: Matrix, input: Matrix,
    _ compute: ComputeContext
  ) -> Matrix {
    var (toQuery, toKey) = (toQuery, toKey)
    if let queryNorm {
      queryNorm.backward(&toQuery, input: query.forward(input, compute), compute)
    }
    if let keyNorm { keyNorm.backward(&toKey, input: key.forward(input, compute), compute) }
    var result = query.backward(toQuery, compute)
    result.add(key.backward(toKey, compute))
    result.add(value.backward(toValue, compute))
    return result
  }
}
