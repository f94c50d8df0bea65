-- Orders that the warehouse has, and of which this object has the better record.
UPDATE fact_sales AS f SET
    customer_id = s.customer_id,
    product_id = s.product_id,
    order_date_id = s.order_date_id,
    delivery_date_id = s.delivery_date_id,
    quantity = s.quantity,
    discounted_price = s.discounted_price,
    original_price = s.original_price,
    discount_percentage = s.discount_percentage,
    profit = s.profit,
    data_collected_at = s.data_collected_at,
    object_id = %(object_id)s,
    row_number = s.row_number,
    updated_at = now()
FROM stg_contest AS s
WHERE s.wins AND f.order_id = s.order_id AND f.order_line = s.order_line
