-- Whether the warehouse has any order within the range of this object's orders.
SELECT EXISTS (SELECT FROM fact_sales WHERE order_id BETWEEN %(first)s AND %(last)s)::integer
